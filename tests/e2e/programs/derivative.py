# Of a polynomial given by its coefficients.
def derive(coefficients):
    return [power * c for power, c in enumerate(coefficients)][1:]
result = [derive([3, 1, 2, 4, 5]), derive([1, 2, 3]), derive([7])]
