# A table in memory, grouped.
import sqlite3
db = sqlite3.connect(":memory:")
db.execute("create table sale (item text, amount real)")
db.executemany("insert into sale values (?, ?)", [("a", 1.5), ("b", 2), ("a", 3)])
result = db.execute("select item, sum(amount), count(*) from sale group by item order by item").fetchall()
