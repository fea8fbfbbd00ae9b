# Leaves early.
import sys
result = 5
print("leaving")
sys.exit(3)
