# Middle value, checked against the library.
import statistics
def median(values):
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2
cases = [[3, 1, 2, 4, 5], [-10, 4, 6, 1000, 10, 20]]
result = [[median(case), statistics.median(case), statistics.pstdev(case)] for case in cases]
