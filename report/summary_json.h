// Parts of a profile's summary that more than one document holds.
#ifndef ALLOCLINE_REPORT_SUMMARY_JSON_H_
#define ALLOCLINE_REPORT_SUMMARY_JSON_H_

#include <cstdint>
#include <nlohmann/json.hpp>

#include "report/profile.h"

namespace allocline {

// A figure of which 0 says that it is not known.
inline nlohmann::ordered_json KnownOrNull(uint64_t value) {
  return value == 0 ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(value);
}
// The process and the recording. `line_of`: whose lines the resolved share is of.
nlohmann::ordered_json ProfileJson(const Profile& profile, LineOf line_of);
// null without an interpreter.
nlohmann::ordered_json PythonJson(const ProfileSummary& summary);
nlohmann::ordered_json WithoutStackJson(const ProfileSummary& summary);
nlohmann::ordered_json DomainsJson(const ProfileSummary& summary);
nlohmann::ordered_json MemoryJson(const ProfileSummary& summary);
// null without one.
nlohmann::ordered_json LedgerJson(const ProfileSummary& summary);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_SUMMARY_JSON_H_
