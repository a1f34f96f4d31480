// A snapshot that stands alone: one state of a process with everything needed to report on it, names included, so that
// it can be read where neither the binaries nor their debug information are.
#ifndef ALLOCLINE_TOOLS_STAND_ALONE_H_
#define ALLOCLINE_TOOLS_STAND_ALONE_H_

#include <cstddef>
#include <optional>

#include "recording/builder.h"
#include "recording/reader.h"
#include "report/open_report.h"
#include "symbolize/symbolizer.h"

namespace allocline {

// `moment`: the snapshot it becomes, its label and what the kernel said of the process then; the traced figures are
// filled in. `at`: when the counters are to be of; those of a snapshot or of the peak are not split by thread. Only
// sites that ever counted anything, and what they need, are taken along.
RecordingBuilder MakeStandAlone(const Recording& recording, const LabelledMoment& at, RecordedSnapshot moment,
                                Symbolizer* symbolizer);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_STAND_ALONE_H_
