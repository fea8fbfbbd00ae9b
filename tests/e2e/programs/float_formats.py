# The printing of numbers.
for value in (1e16, 1e-5, 123456789.123456789, 0.1 + 0.2, -0.0, 1e22, 5e-324, 1.7976931348623157e308):
    print(repr(value), f"{value:.3e}", f"{value:g}", round(value, 2))
result = ["%08.3f" % 3.14159, "{:,}".format(1234567890), f"{255:#x} {5:08b}", (0.1).hex()]
