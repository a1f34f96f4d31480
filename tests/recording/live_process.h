// What a traced process does to its recording, without the process: threads that allocate, hand blocks to each other
// and free them, counted by the tracer's own tables in a recording that grows under the reader's eyes.
//
// Every stack carries the number of its site, so that a half-written one is told from a right one.
#ifndef ALLOCLINE_TESTS_RECORDING_LIVE_PROCESS_H_
#define ALLOCLINE_TESTS_RECORDING_LIVE_PROCESS_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "recording/reader.h"
#include "recording/writer.h"
#include "tracer/site_table.h"

namespace allocline {

class LiveProcess {
 public:
  // `truth`, if given, has a place for every thread: the live bytes that it has counted, allocations less frees.
  LiveProcess(const std::string& directory, uint32_t sites, std::atomic<int64_t>* truth = nullptr);
  ~LiveProcess() { Stop(); }

  const std::string& path() const { return path_; }
  void Start(int threads);
  void Stop();

  // "" if `stack` is the one of a site of any LiveProcess, otherwise what is wrong with it.
  static std::string CheckStack(const std::vector<format::Frame>& stack);

 private:
  struct Block {
    SiteId site;
    uint64_t bytes;
  };

  void Run(int thread, std::stop_token stop);
  SiteId SiteOf(uint64_t number);

  RecordingWriter writer_;
  SiteTable site_table_;
  const uint32_t sites_;
  std::atomic<int64_t>* const truth_;
  std::string path_;
  std::mutex mutex_;
  std::deque<Block> blocks_;  // guarded by mutex_: allocated by one thread, freed by whoever takes it
  std::vector<std::jthread> threads_;
};

}  // namespace allocline

#endif  // ALLOCLINE_TESTS_RECORDING_LIVE_PROCESS_H_
