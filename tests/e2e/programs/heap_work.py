# The largest few and a merge.
import heapq
result = [heapq.nlargest(3, [5, 1, 9, 3, 7]), list(heapq.merge([1, 4, 7], [2, 5], [0, 9])), heapq.nsmallest(2, "hello")]
