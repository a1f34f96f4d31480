// Builds a Recording from the bytes of one, table by table.
//
// The order of the steps is the point of this class. A live file is written while it is read, and every step relies on
// what the writer publishes earlier than what was read before it (format.h, rules 3 and 4):
//
//   copy of the peak -> snapshots -> freed -> allocated -> chunk owners -> threads and totals -> sites -> nodes ->
//   modules and code -> timeline, which hangs on nothing
//
// So what is found in one table is complete in the tables read after it.
//
// A file may still lack what it refers to: its end was cut off, or someone copied it front to back while its process
// ran. What is there is read then; what hangs on the rest is charged to kOverflowSite, so that the totals stay, and
// Recording::damage() says how much that is. What cannot be in any recording (an extent over another, a record larger
// than its table, a stack that calls itself) is a DataLossError.
#ifndef ALLOCLINE_RECORDING_PARSER_H_
#define ALLOCLINE_RECORDING_PARSER_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "recording/byte_source.h"
#include "recording/counter_table.h"
#include "recording/reader.h"
#include "recording/table_map.h"

namespace allocline {

class RecordingParser {
 public:
  explicit RecordingParser(ByteSource& source) : map_(source) { recording_.path_ = source.name(); }

  absl::StatusOr<Recording> Parse() &&;

 private:
  absl::Status ReadPeak();
  absl::Status ReadSnapshots();
  absl::Status ReadThreads();
  absl::Status ReadSites();
  absl::Status ReadNodes();
  absl::Status ReadModules();
  absl::Status ReadCodes();
  absl::Status ReadSymbols();
  absl::Status ReadDifferences();
  absl::Status ReadLedger();
  absl::Status ReadTimeline();

  // Once all is read: does everything lead somewhere?
  void NoteWhatIsMissing();
  absl::Status CheckStacks();
  void CheckCodes();
  void ChargeCounters();
  void ChargeSnapshots();
  void FindSampledSites();
  void ChargePeak();
  void SumUp();

  bool Exists(uint64_t site) const {
    if (site == 0) return recording_.header_.sample_interval_bytes != 0;  // blocks without a stack
    return site == format::kOverflowSite || (site < recording_.sites_.size() && recording_.sites_[site] != 0);
  }
  size_t ThreadOf(uint32_t record);

  TableMap map_;
  Recording recording_;
  CounterTable counters_;
  static constexpr size_t kNotWritten = SIZE_MAX;
  std::vector<size_t> thread_of_record_;  // index in recording_.threads_
  uint64_t threads_without_record_ = 0;
  int64_t unflushed_live_ = 0;  // of all threads, site 0 apart
  int64_t above_live_ = 0;      // by how much the unflushed share of one thread was higher than it is now
};

}  // namespace allocline

#endif  // ALLOCLINE_RECORDING_PARSER_H_
