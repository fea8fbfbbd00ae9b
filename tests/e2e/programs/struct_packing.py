# Bytes and back, both orders.
import struct
packed = struct.pack("<HIq", 1, 2, -3) + struct.pack(">d", 1.5)
result = [packed.hex(), struct.unpack("<HIq", packed[:14]), int.from_bytes(b"\x01\x02", "big"), (258).to_bytes(2, "little").hex()]
