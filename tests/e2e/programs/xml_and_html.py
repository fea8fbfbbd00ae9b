# Elements found and text escaped.
import html
import xml.etree.ElementTree as ET
tree = ET.fromstring("<shop><item price='2.5'>Pen</item><item price='10'>Bag</item></shop>")
total = sum(float(item.get("price")) for item in tree.iter("item"))
result = [total, [item.text for item in tree], html.escape("<a & 'b'>"), html.unescape("&eacute;&#8364;")]
