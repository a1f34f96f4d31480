#include "report/group_json.h"

#include <string_view>

#include "report/escape.h"

namespace allocline {

using Json = nlohmann::ordered_json;

Json TextJson(std::string_view text) { return ValidUtf8(text); }
Json TextOrNullJson(std::string_view text) { return text.empty() ? Json(nullptr) : TextJson(text); }

Json FrameJson(const Location& location) {
  return {{"name", TextJson(location.where)},
          {"file", TextOrNullJson(location.file)},
          {"line", location.file.empty() ? Json(nullptr) : Json(location.line)},
          {"function", TextOrNullJson(location.function)},
          {"module", TextOrNullJson(location.module)},
          {"inlined", location.inlined},
          {"python", location.python}};
}

Json GroupJson(const Group& group) {
  const Frame& frame = group.frame;
  switch (group.by) {
    case GroupBy::kLine:
      if (!frame.is_file) return {{"name", TextJson(frame.file)}, {"file", nullptr}, {"line", nullptr}};
      return {{"name", TextJson(Str(frame))}, {"file", TextJson(frame.file)}, {"line", frame.line}};
    case GroupBy::kFile:
      return {{"name", TextJson(frame.file)}, {"file", frame.is_file ? TextJson(frame.file) : Json(nullptr)}};
    case GroupBy::kFunction:
      return {{"name", TextJson(Str(group))},
              {"function", TextOrNullJson(frame.function)},
              {"module", TextOrNullJson(frame.module)}};
    case GroupBy::kModule:
      return {{"name", TextJson(frame.file)}, {"module", TextOrNullJson(frame.module)}};
    case GroupBy::kThread: {
      Json json = {{"name", TextJson(frame.file)}};
      json["tid"] = group.stacks->threads()[group.thread].tid;
      json["threads_served"] = group.stacks->threads()[group.thread].threads_served;
      return json;
    }
    case GroupBy::kProcess: {
      const ProfileThread& process = group.stacks->threads()[group.thread];
      return {{"name", TextJson(frame.file)}, {"program", TextJson(process.name)}, {"pid", process.tid}};
    }
    case GroupBy::kTraceback: {
      const StackTable& stacks = *group.stacks;
      Json frames = Json::array();
      StackFrames walk = stacks.Frames(group.stack);
      for (auto at = walk.begin(); at != walk.end(); ++at) {
        frames.push_back(FrameJson(stacks.locations()[*at]));
        frames.back()["user"] = at.stack() == stacks.nodes()[group.stack].user;
      }
      return {{"name", TextJson(Str(FrameOf(stacks.UserLine(group.stack))))}, {"traceback", std::move(frames)}};
    }
  }
  return Json::object();
}

}  // namespace allocline
