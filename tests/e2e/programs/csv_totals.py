# Quoted fields and totals per group.
import csv, io
text = 'name,city,amount\n"Smith, J",Oslo,10.5\nLee,"New ""York""",3\nKim,Oslo,1.25\n'
totals = {}
for row in csv.DictReader(io.StringIO(text)):
    totals[row["city"]] = totals.get(row["city"], 0) + float(row["amount"])
out = io.StringIO()
csv.writer(out).writerows(sorted(totals.items()))
print(out.getvalue(), end="")
result = totals
