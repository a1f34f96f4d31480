#include "report/group_names.h"

#include <fmt/format.h>

#include "report/escape.h"
#include "report/function_name.h"

namespace allocline {

GroupNames::GroupNames(const Profile& profile, const Profile* old, bool full_paths, LineOf line_of)
    : full_paths_(full_paths), line_of_(line_of), program_(profile.summary().program) {
  if (full_paths) return;
  names_.Add(profile.stacks());
  if (old != nullptr) names_.Add(old->stacks());
  names_.Finish();
}

void GroupNames::Count(const Group& group) {
  if (group.by == GroupBy::kFunction) ++short_functions_[ShortFunctionName(group.frame.function)];
}

std::string GroupNames::FileName(std::string_view path) const { return Printable(names_.Short(path)); }

// Overloads and instantiations that share a short name are shown in full.
std::string GroupNames::FunctionName(std::string_view function) const {
  if (full_paths_) return Printable(function);
  std::string short_name = ShortFunctionName(function);
  auto uses = short_functions_.find(short_name);
  return Printable(uses != short_functions_.end() && uses->second > 1 ? function : short_name);
}

std::string GroupNames::FrameName(const Frame& frame) const {
  if (!frame.is_file || frame.line == 0) return FileName(frame.file);
  return fmt::format("{}:{}", FileName(frame.file), frame.line);
}

std::string GroupNames::Name(const Group& group) const {
  switch (group.by) {
    case GroupBy::kFunction:
      if (group.frame.function.empty()) return FileName(group.frame.file);
      // What is in the program itself needs no saying.
      if (group.frame.module.empty() || group.frame.module == program_) return FunctionName(group.frame.function);
      return fmt::format("{} [{}]", FunctionName(group.frame.function), FileName(group.frame.module));
    case GroupBy::kTraceback: {
      const StackTable& stacks = *group.stacks;
      return FrameName(
          FrameOf(line_of_ == LineOf::kUser ? stacks.UserLine(group.stack) : stacks.Innermost(group.stack)));
    }
    default:
      return FrameName(group.frame);
  }
}

std::string GroupNames::Frames(const Group& group) const {
  if (group.by != GroupBy::kTraceback) return "";
  const StackTable& stacks = *group.stacks;
  StackFrames frames = stacks.Frames(group.stack);
  std::string text;
  for (auto frame = frames.begin(); frame != frames.end(); ++frame) {
    const Location& location = stacks.locations()[*frame];
    bool marked = frame.stack() == stacks.nodes()[group.stack].user;
    std::string name = FrameName(FrameOf(location));
    // Without a file the name holds the function already.
    bool bare = location.file.empty() || location.function.empty();
    text += fmt::format("  {} {}{}{}\n", marked ? '>' : ' ', bare ? "" : FunctionName(location.function) + " at ", name,
                        location.inlined ? " (inlined)" : "");
  }
  return text;
}

}  // namespace allocline
