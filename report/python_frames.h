// Frames of Python -> function, file and line, from what the recording kept of their code. No interpreter is needed,
// nor the source.
#ifndef ALLOCLINE_REPORT_PYTHON_FRAMES_H_
#define ALLOCLINE_REPORT_PYTHON_FRAMES_H_

#include <functional>
#include <span>
#include <string>

#include "recording/reader.h"
#include "symbolize/symbolizer.h"

namespace allocline {

// The file of a code object. Python names the script it was started with as the command line did, and what is imported
// from a relative entry of sys.path relative to it: such a name is completed by the directory the process began in, if
// there is a file of that name now.
std::string PythonFileName(const Recording& recording, const RecordedCode& code);

// Calls visit(frame, resolved) for each of `frames`, which are of Python, sorted and without duplicates. A frame whose
// code is missing resolves to nothing; one that is on no line (format.h) to line 0.
void ResolvePythonFrames(const Recording& recording, std::span<const format::Frame> frames,
                         const std::function<void(format::Frame, const ResolvedAddress&)>& visit);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_PYTHON_FRAMES_H_
