# In both, once, in order.
result = sorted({1, 4, 3, 34, 653, 2, 5} & {5, 7, 1, 5, 9, 653, 121})
