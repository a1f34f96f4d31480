#include "report/profile.h"

namespace allocline {

ResolutionShares ComputeResolution(const Profile& profile, LineOf line_of) {
  ResolutionShares shares;
  const StackTable& stacks = profile.stacks();
  for (const Site& site : profile.sites()) {
    if (site.live_bytes <= 0) continue;
    shares.live_bytes += site.live_bytes;
    const Location& location = line_of == LineOf::kUser ? stacks.UserLine(site.stack) : stacks.Innermost(site.stack);
    switch (location.level) {
      case ResolutionLevel::kLine:
        shares.line_bytes += site.live_bytes;
        break;
      case ResolutionLevel::kSymbol:
      case ResolutionLevel::kDynamic:
        shares.function_bytes += site.live_bytes;
        break;
      case ResolutionLevel::kModule:
        shares.module_bytes += site.live_bytes;
        break;
      case ResolutionLevel::kNone:
        shares.none_bytes += site.live_bytes;
        break;
    }
  }
  return shares;
}

}  // namespace allocline
