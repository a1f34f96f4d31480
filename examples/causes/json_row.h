// A JSON object as a row of the destination.
#ifndef ALLOCLINE_EXAMPLES_CAUSES_JSON_ROW_H_
#define ALLOCLINE_EXAMPLES_CAUSES_JSON_ROW_H_

#include <nlohmann/json.hpp>

#include "examples/connectors/connector_kit.h"

namespace connectors {

// What is nested in it goes into its column as JSON text.
inline Row RowOf(const nlohmann::json& object) {
  Row row;
  for (const auto& [name, value] : object.items()) {
    if (value.is_null()) {
      row[name] = nullptr;
    } else if (value.is_number_integer()) {
      row[name] = value.get<int64_t>();
    } else if (value.is_number()) {
      row[name] = value.get<double>();
    } else if (value.is_string()) {
      row[name] = value.get<std::string>();
    } else {
      row[name] = value.dump();
    }
  }
  return row;
}

}  // namespace connectors

#endif  // ALLOCLINE_EXAMPLES_CAUSES_JSON_ROW_H_
