# Leap years, differences, weekdays, formats.
from datetime import date, datetime, timedelta
import calendar
start = date(2024, 2, 27)
days = [str(start + timedelta(days=n)) for n in range(4)]
gap = datetime(2024, 12, 25, 8) - datetime(2024, 1, 1, 20, 30)
result = [days, gap.days, gap.seconds, start.strftime("%A %d %B %Y"), calendar.monthrange(1900, 2)[1]]
