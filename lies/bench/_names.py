"""Names that the bench's processes agree on."""

DRIVER = "lies.bench._driver:BenchDriver"
EAR = "lies.bench._driver:BenchEar"
LINK_IN_DAEMON = "bench0"
LINK_ISOLATED = "bench1"
POA = "ap1"
