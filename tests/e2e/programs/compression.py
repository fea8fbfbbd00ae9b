# Packed and back, four ways.
import bz2, gzip, lzma, zlib
data = b"abracadabra" * 100
result = [module.decompress(module.compress(data)) == data for module in (bz2, gzip, lzma, zlib)]
