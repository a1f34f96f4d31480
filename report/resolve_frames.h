// Recorded frames -> what is known of them: native ones by the symbolizer, module by module, each in one call; Python's
// by what the recording kept of its code.
#ifndef ALLOCLINE_REPORT_RESOLVE_FRAMES_H_
#define ALLOCLINE_REPORT_RESOLVE_FRAMES_H_

#include <functional>
#include <vector>

#include "recording/reader.h"
#include "report/profile.h"
#include "symbolize/symbolizer.h"

namespace allocline {

// The address of the call in the module's file: a return address is that of the instruction after it, which may belong
// to another line or even to another function.
uint64_t CallAddressInFile(const RecordedModule& module, format::Frame frame);

using ResolvedFrameVisitor =
    std::function<void(format::Frame frame, const RecordedModule* module, const ResolvedAddress& resolved)>;

// Calls `visit` once for each distinct frame of `frames` (no 0 among them). `module` is null for virtual frames and
// addresses outside any module; of those only Python's are resolved. Names that the recording carries come before the
// files'; with a null `symbolizer` they are the only ones. Gives why modules did not resolve as far as they might.
std::vector<ModuleProblem> ResolveFrames(const Recording& recording, Symbolizer* symbolizer,
                                         std::vector<format::Frame> frames, const ResolvedFrameVisitor& visit);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_RESOLVE_FRAMES_H_
