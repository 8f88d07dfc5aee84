"""What the property-based tester does not know by itself: records of NDJSON are sent as the text that they are."""

import schemathesis

schemathesis.serializer.alias("application/x-ndjson", "text/plain")
