// The same at a fixed address.
#include "segments_with_holes.cc"  // NOLINT(bugprone-suspicious-include)
