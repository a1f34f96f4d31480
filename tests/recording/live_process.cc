#include "tests/recording/live_process.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "base/atomic.h"
#include "tracer/thread_counters.h"

namespace allocline {
namespace {

using format::TableKind;

// Frames from the outermost inward: number, number * 2, ... as many as the number asks for.
constexpr uint64_t kFrameBase = 0x1000;
uint64_t DepthOf(uint64_t number) { return 2 + number % 30; }

}  // namespace

LiveProcess::LiveProcess(const std::string& directory, uint32_t sites, std::atomic<int64_t>* truth)
    : sites_(sites), truth_(truth) {
  if (!writer_.Open({directory.c_str(), "live", "/bin/live", 0, 0}) || !site_table_.Init(&writer_)) abort();
  path_ = writer_.path();
}

void LiveProcess::Start(int threads) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this, i](std::stop_token stop) { Run(i, stop); });
  }
}

void LiveProcess::Stop() {
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
}

SiteId LiveProcess::SiteOf(uint64_t number) {
  NodeId node = kRootNode;
  for (uint64_t i = 1; i <= DepthOf(number); ++i) node = site_table_.Child(node, kFrameBase + number * i);
  return site_table_.SiteOf(node);
}

std::string LiveProcess::CheckStack(const std::vector<format::Frame>& stack) {
  if (stack.empty()) return "a stack is empty";
  const uint64_t number = stack.back() - kFrameBase;
  if (stack.size() != DepthOf(number)) return fmt::format("the stack of {} has {} frames", number, stack.size());
  for (uint64_t i = 1; i <= stack.size(); ++i) {
    if (stack[stack.size() - i] != kFrameBase + number * i) return fmt::format("frame {} of {} is wrong", i, number);
  }
  return "";
}

void LiveProcess::Run(int thread, std::stop_token stop) {
  auto* record = static_cast<format::ThreadRecord*>(writer_.Reserve(TableKind::kThreads, sizeof(format::ThreadRecord)));
  const auto* first = reinterpret_cast<const format::ThreadRecord*>(writer_.base(TableKind::kThreads));
  ThreadCounters counters;
  counters.Init(static_cast<uint32_t>(record - first));
  StoreRelease(record->kind, static_cast<uint32_t>(format::ThreadKind::kThread));

  const auto publish = [&](int64_t bytes) {
    if (truth_ != nullptr) truth_[thread].fetch_add(bytes, std::memory_order_relaxed);
  };
  std::mt19937_64 random(static_cast<uint64_t>(thread) + 1);
  for (uint64_t i = 0; !stop.stop_requested(); ++i) {
    // New sites keep coming, and threads meet on the same ones.
    const Block block{.site = SiteOf(1 + random() % std::min<uint64_t>(sites_, 100 + i / 4)),
                      .bytes = 1 + random() % 999};
    format::Counter* counter = counters.At(block.site, writer_);
    if (counter == nullptr) abort();
    AddOwned(counter->allocated_bytes, block.bytes);
    AddOwned(counter->allocated_blocks, 1);
    publish(static_cast<int64_t>(block.bytes));

    Block taken{};
    {
      const std::scoped_lock lock(mutex_);
      blocks_.push_back(block);
      if (blocks_.size() > 64) {
        taken = blocks_.front();
        blocks_.pop_front();
      }
    }
    if (taken.site == 0) continue;
    counter = counters.At(taken.site, writer_);
    if (counter == nullptr) abort();
    AddOwned(counter->freed_bytes, taken.bytes);
    AddOwned(counter->freed_blocks, 1);
    publish(-static_cast<int64_t>(taken.bytes));
  }
}

}  // namespace allocline
