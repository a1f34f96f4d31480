// The records of variable size (modules, snapshots, ledgers, code, symbols, differences): their bytes, and the values
// they stand for.
//
// Parse* trust nothing. They take one whole record, as long as its record_bytes says, and fail with InvalidArgument if
// what it claims does not fit in it; the caller knows file and offset. A record may be longer than what it holds: a
// later minor version may append to it. Encode* write what Parse* read, padded to 8 bytes.
//
// Threads: pure functions.
#ifndef ALLOCLINE_RECORDING_VARIABLE_RECORDS_H_
#define ALLOCLINE_RECORDING_VARIABLE_RECORDS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "recording/reader.h"

namespace allocline {

absl::StatusOr<RecordedModule> ParseModule(std::string_view record);
absl::StatusOr<RecordedSnapshot> ParseSnapshot(std::string_view record);
absl::StatusOr<RecordedLedger> ParseLedger(std::string_view record);
absl::StatusOr<RecordedCode> ParseCode(uint64_t offset, std::string_view record);  // its offset is its id
absl::StatusOr<RecordedSymbol> ParseSymbol(std::string_view record);
absl::StatusOr<RecordedDifference> ParseDifference(std::string_view record);

std::string EncodeModule(const RecordedModule& module);
// The growth must be by rising site, without site 0. A label longer than format::kMaxLabelBytes is cut.
std::string EncodeSnapshot(const RecordedSnapshot& snapshot);
// Items beyond format::kMaxLedgerItems are left out, paths cut to their end.
std::string EncodeLedger(const RecordedLedger& ledger);
// Its offset in the table must be that of its id.
std::string EncodeCode(const RecordedCode& code);
std::string EncodeSymbol(const RecordedSymbol& symbol);
std::string EncodeDifference(const RecordedDifference& difference);

}  // namespace allocline

#endif  // ALLOCLINE_RECORDING_VARIABLE_RECORDS_H_
