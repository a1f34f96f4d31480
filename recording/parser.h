// Builds a Recording from the bytes of one, table by table.
//
// The order of the steps is the point of this class. A live file is written while it is read, and every step relies on
// what the writer publishes earlier than what was read before it (format.h, rules 3 and 4):
//
//   snapshots -> freed -> allocated -> chunk owners -> threads and totals -> sites -> nodes -> modules
//
// So an id found in one table is complete in the tables read after it: one that leads nowhere is damage, not a race.
//
// Damage that lies:  an id, a length or a link that cannot be. The answer is a DataLossError.
// Damage that lacks: bytes beyond the end of the file. What is there is read, what hung on the rest is charged to
//                    kOverflowSite so that the totals stay exact, and Recording::damage() says so.
#ifndef ALLOCLINE_RECORDING_PARSER_H_
#define ALLOCLINE_RECORDING_PARSER_H_

#include <cstdint>
#include <optional>
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
  absl::Status ReadSnapshots();
  absl::Status ReadThreads();
  absl::Status ReadSites();
  absl::Status ReadNodes();
  absl::Status ReadModules();
  absl::Status ReadSymbols();

  // Once all is read: do the ids lead somewhere?
  void NoteWhatIsMissing();
  absl::Status CheckStacks();
  absl::Status ChargeCounters();
  absl::Status ChargeSnapshots();
  void SumUp();

  bool Exists(uint64_t site) const {
    return site == format::kOverflowSite || (site < recording_.sites_.size() && recording_.sites_[site] != 0);
  }
  // The thread to charge for a record of the table of threads, nullopt if there is no such record.
  std::optional<size_t> ThreadOf(uint32_t record);

  TableMap map_;
  Recording recording_;
  CounterTable counters_;
  std::vector<std::optional<size_t>> thread_of_record_;  // index in recording_.threads_, nullopt = not written yet
  int64_t unflushed_live_ = 0;                           // over all threads
  int64_t unflushed_peak_ = 0;                           // of the thread that has the highest
};

}  // namespace allocline

#endif  // ALLOCLINE_RECORDING_PARSER_H_
