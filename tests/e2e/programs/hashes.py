# Digests of known texts.
import base64, binascii, hashlib, hmac, zlib
data = b"The quick brown fox"
result = [hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest(), hashlib.blake2b(data, digest_size=8).hexdigest(),
          hmac.new(b"key", data, "sha1").hexdigest(), base64.b64encode(data).decode(), zlib.crc32(data), binascii.hexlify(data[:3]).decode()]
