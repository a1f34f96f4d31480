// What the tracer keeps of an interpreter, beside plain models of it: the map of blocks in arenas, the table of codes,
// the last stack of frames. The objects of Python are made up, laid out as CPython 3.8's or 3.12's are.
#include <dlfcn.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "recording/python_lines.h"
#include "tests/tracer/recording_fixture.h"
#include "tracer/elf_exports.h"
#include "tracer/python_block_map.h"
#include "tracer/python_codes.h"
#include "tracer/python_frames.h"

namespace allocline {

// In the names of tests, in place of its bytes.
void PrintTo(const PythonLayout& layout, std::ostream* out) { *out << "frames of " << layout.previous << " bytes"; }

}  // namespace allocline
namespace allocline::testing {
namespace {

using ::testing::IsEmpty;

bool operator==(const Block& a, const Block& b) { return a.site == b.site && a.bytes == b.bytes; }

// ---------------------------------------------------------------- exports

TEST(ElfExportsTest, WhatIsFoundIsWhatDlsymFinds) {
  void* libc = dlopen("libc.so.6", RTLD_NOW);
  link_map* object = nullptr;
  ASSERT_EQ(dlinfo(libc, RTLD_DI_LINKMAP, &object), 0);
  for (const char* name : {"qsort", "getenv", "environ", "fopen", "posix_memalign", "mallopt", "pthread_create"}) {
    EXPECT_EQ(FindExport(object, name).address, reinterpret_cast<uintptr_t>(dlsym(libc, name))) << name;
  }
  EXPECT_GT(FindExport(object, "qsort").bytes, 0);
  for (const char* name : {"PyMem_SetAllocator", "", "qsor", "qsortt", "errno"}) {  // the last is thread-local
    EXPECT_EQ(FindExport(object, name).address, 0) << name;
  }
}

// ---------------------------------------------------------------- blocks in arenas

constexpr uintptr_t kArena = 0x7f1200100000;  // of 1 MiB; the next one lies over the border of a region of 32 MiB
constexpr uint64_t kArenaBytes = 1 << 20;
constexpr uintptr_t kArenaAcrossRegions = 0x7f1201f80000;

class PythonBlockMapTest : public ::testing::Test {
 protected:
  PythonBlockMapTest() {
    EXPECT_TRUE(map_.Init());
    EXPECT_TRUE(map_.AddArena(kArena, kArenaBytes));
    EXPECT_TRUE(map_.AddArena(kArenaAcrossRegions, kArenaBytes));
  }
  std::map<uintptr_t, Block> All() {
    std::map<uintptr_t, Block> all;
    map_.ForEach([&](uintptr_t address, Block block) { all[address] = block; });
    return all;
  }
  Block Take(uintptr_t address, bool* was_code) { return PythonBlockMap::Take(map_.PlaceOf(address), was_code); }
  bool Insert(uintptr_t address, uint32_t site, uint64_t bytes) {
    return PythonBlockMap::InsertUsual(map_.PlaceOf(address), site, bytes);
  }

  PythonBlockMap map_;
};

TEST_F(PythonBlockMapTest, ItHoldsWhatAPlainMapHolds) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  std::map<uintptr_t, Block> model;
  for (int i = 0; i < 100'000; ++i) {
    const uintptr_t address = (random() % 2 != 0 ? kArena : kArenaAcrossRegions) + random() % (kArenaBytes / 16) * 16;
    const Block block = {1 + static_cast<uint32_t>(random()) % PythonBlockMap::kMaxSite, 1 + random() % 512};
    if (model.count(address) == 0) {
      ASSERT_TRUE(Insert(address, block.site, block.bytes));
      model[address] = block;
    } else {
      ASSERT_FALSE(Insert(address, block.site, block.bytes)) << "a block stands there";
      bool was_code = true;
      ASSERT_TRUE(map_.Find(address) == model[address]);
      ASSERT_TRUE(Take(address, &was_code) == model[address]);
      ASSERT_FALSE(was_code);
      ASSERT_EQ(map_.Find(address).site, 0u);
      model.erase(address);
    }
  }
  const auto all = All();
  ASSERT_EQ(all.size(), model.size());
  for (const auto& [address, block] : model) ASSERT_TRUE(all.at(address) == block);
}

TEST_F(PythonBlockMapTest, WhatDoesNotFitOrIsInNoArenaIsRefused) {
  EXPECT_FALSE(Insert(kArena - 16, 1, 16));
  EXPECT_FALSE(Insert(kArena + kArenaBytes, 1, 16));
  EXPECT_FALSE(Insert(uintptr_t{1} << 47, 1, 16));
  EXPECT_FALSE(Insert(kArena, PythonBlockMap::kMaxSite + 1, 16));
  EXPECT_FALSE(Insert(kArena, 1, 513));
  EXPECT_FALSE(Insert(kArena, 1, 0));
  EXPECT_THAT(All(), IsEmpty());
  map_.RemoveArena(kArena, kArenaBytes);
  EXPECT_FALSE(Insert(kArena, 1, 16));
}

TEST_F(PythonBlockMapTest, TheMarkOfACodeStaysWhenItsBlockIsForgottenAndGoesWhenItIsFreed) {
  ASSERT_TRUE(Insert(kArena + 160, 7, 176));
  ASSERT_TRUE(map_.MarkCode(kArena + 160));
  ASSERT_TRUE(map_.MarkCode(kArena + 320)) << "a block that is not recorded";
  ASSERT_FALSE(map_.MarkCode(kArena - 320));
  EXPECT_EQ(All().size(), 1u);
  map_.TakeAll([](uintptr_t, Block block) { EXPECT_TRUE((block == Block{7, 176})); });
  EXPECT_THAT(All(), IsEmpty());
  for (const uintptr_t address : {kArena + 160, kArena + 320}) {
    bool was_code = false;
    EXPECT_EQ(Take(address, &was_code).site, 0u);
    EXPECT_TRUE(was_code);
    EXPECT_EQ(Take(address, &was_code).site, 0u);
    EXPECT_FALSE(was_code);
  }
}

// ---------------------------------------------------------------- objects of Python

PythonLayout LayoutOf3_8() {
  PythonLayout l{};
  l.previous = 24;
  l.code = 32;
  l.instruction = 104;
  l.instruction_mask = 0xffffffff;
  l.bytes_per_instruction = 1;
  l.first_shim_owner = 255;
  l.co_filename = 104;
  l.co_name = 112;
  l.co_line_table = 120;
  l.co_first_line = 40;
  l.line_table_kind = format::LineTableKind::kLnotab;
  l.type = 8;
  l.str_length = 16;
  l.str_state = 32;
  l.str_ascii = 48;
  l.str_compact = 72;
  l.bytes_size = 16;
  l.bytes_data = 32;
  return l;
}

PythonLayout LayoutOf3_12() {
  PythonLayout l = LayoutOf3_8();
  l.previous = 8;
  l.code = 0;
  l.instruction = 56;
  l.instruction_is_pointer = true;
  l.instruction_mask = ~uint64_t{0};
  return l;
}

PythonLayout LayoutOf3_11() {
  PythonLayout l = LayoutOf3_12();
  l.previous = PreviousIn<PythonForm::k3_11>({});
  l.code = 32;
  l.instruction = InstructionIn<PythonForm::k3_11>({});
  return l;
}

// An object, word by word.
class Object {
 public:
  explicit Object(size_t bytes) : words_(bytes / 8 + 2) {}
  template <typename T>
  void Put(uint16_t offset, T value) {
    memcpy(reinterpret_cast<char*>(words_.data()) + offset, &value, sizeof value);
  }
  uintptr_t address() const { return reinterpret_cast<uintptr_t>(words_.data()); }

 private:
  std::vector<uint64_t> words_;
};

template <typename Character>
Object Str(const PythonLayout& layout, const std::vector<Character>& text, bool ascii) {
  Object object(layout.str_compact + (text.size() + 1) * sizeof(Character));
  object.Put<uint64_t>(layout.str_length, text.size());
  object.Put<uint32_t>(layout.str_state, sizeof(Character) << 2 | 1u << 5 | (ascii ? 1u << 6 : 0));
  for (size_t i = 0; i < text.size(); ++i) {
    object.Put(static_cast<uint16_t>((ascii ? layout.str_ascii : layout.str_compact) + i * sizeof(Character)), text[i]);
  }
  return object;
}
Object Str(const PythonLayout& layout, const std::string& text) {
  return Str(layout, std::vector<uint8_t>(text.begin(), text.end()), /*ascii=*/true);
}

struct Code {
  Code(const PythonLayout& layout, Object file_name, Object qualified_name, int32_t first_line,
       const std::string& line_table)
      : file(std::move(file_name)), name(std::move(qualified_name)), lines(48 + line_table.size()), object(200) {
    lines.Put<uint64_t>(layout.bytes_size, line_table.size());
    for (size_t i = 0; i < line_table.size(); ++i) {
      lines.Put(static_cast<uint16_t>(layout.bytes_data + i), line_table[i]);
    }
    object.Put(layout.co_filename, file.address());
    object.Put(layout.co_name, name.address());
    object.Put(layout.co_line_table, lines.address());
    object.Put(layout.co_first_line, first_line);
  }
  Object file, name, lines, object;
};

class PythonCodesTest : public ::testing::Test {
 protected:
  PythonCodesTest() { codes_.Init(&written_.writer()); }
  Code Make(const std::string& file, const std::string& name, int32_t line, const std::string& table = "\4\1") {
    return Code(layout_, Str(layout_, file), Str(layout_, name), line, table);
  }
  uint64_t IdOf(const Code& code, bool* is_new) { return codes_.IdOf(layout_, code.object.address(), is_new); }
  uint64_t IdOf(const Code& code) {
    bool is_new = false;
    return IdOf(code, &is_new);
  }
  const format::CodeRecord* RecordOf(uint64_t id) {
    return reinterpret_cast<const format::CodeRecord*>(written_.writer().base(format::TableKind::kCodes) + id * 8);
  }
  std::string FileOf(uint64_t id) {
    return {reinterpret_cast<const char*>(RecordOf(id) + 1), RecordOf(id)->file_bytes};
  }
  std::string NameOf(uint64_t id) {
    return {reinterpret_cast<const char*>(RecordOf(id) + 1) + RecordOf(id)->file_bytes, RecordOf(id)->name_bytes};
  }

  WrittenRecording written_;
  const PythonLayout layout_ = LayoutOf3_8();
  PythonCodes codes_;
};

TEST_F(PythonCodesTest, ARecordHoldsWhatIsNeededToFindTheLine) {
  const Code code = Make("/app/connector.py", "Source.fetch", 40, {"\6\1\10\2"});
  bool is_new = false;
  const uint64_t id = IdOf(code, &is_new);
  EXPECT_TRUE(is_new);
  EXPECT_EQ(FileOf(id), "/app/connector.py");
  EXPECT_EQ(NameOf(id), "Source.fetch");
  const format::CodeRecord* record = RecordOf(id);
  const std::string_view table(reinterpret_cast<const char*>(record + 1) + record->file_bytes + record->name_bytes,
                               record->line_table_bytes);
  EXPECT_EQ(PythonLine(static_cast<format::LineTableKind>(record->line_table_kind), record->first_line, table, 7), 41);
  EXPECT_EQ(IdOf(code, &(is_new = false)), id);
  EXPECT_FALSE(is_new);
}

TEST_F(PythonCodesTest, TextsOfEveryWidthBecomeUtf8) {
  const Code latin(layout_, Str(layout_, std::vector<uint8_t>{'c', 'a', 'f', 0xe9}, false), Str(layout_, "f"), 1, "");
  const Code wide(layout_, Str(layout_, std::vector<uint16_t>{0x65e5, 'x', 0x7ff}, false), Str(layout_, "f"), 1, "");
  const Code widest(layout_, Str(layout_, std::vector<uint32_t>{0x1f40d, 0x20ac}, false), Str(layout_, "f"), 1, "");
  EXPECT_EQ(FileOf(IdOf(latin)), "caf\xc3\xa9");
  EXPECT_EQ(FileOf(IdOf(wide)), "\xe6\x97\xa5x\xdf\xbf");
  EXPECT_EQ(FileOf(IdOf(widest)), "\xf0\x9f\x90\x8d\xe2\x82\xac");
}

TEST_F(PythonCodesTest, CodesThatAreEqualShareARecord) {
  const Code one = Make("<string>", "<module>", 1), other = Make("<string>", "<module>", 1);
  EXPECT_EQ(IdOf(one), IdOf(other));
  EXPECT_NE(IdOf(one), IdOf(Make("<string>", "<module>", 2)));
}

TEST_F(PythonCodesTest, ADeadCodeIsUnknownAndTheNextAtItsPlaceIsAnother) {
  Code code = Make("a.py", "f", 1);
  const uint64_t first = IdOf(code);
  const uint32_t epoch = codes_.epoch();
  EXPECT_TRUE(codes_.Knows(code.object.address()));
  EXPECT_TRUE(codes_.Forget(code.object.address()));
  EXPECT_NE(codes_.epoch(), epoch);
  EXPECT_FALSE(codes_.Knows(code.object.address()));
  EXPECT_FALSE(codes_.Forget(code.object.address())) << "it had no number any more";
  const Object name = Str(layout_, "g");
  code.object.Put(layout_.co_name, name.address());
  const uint64_t second = IdOf(code);
  EXPECT_EQ(NameOf(first), "f");
  EXPECT_EQ(NameOf(second), "g");
}

TEST_F(PythonCodesTest, ADeathThatWasMissedIsNoticedByWhatIsThereNow) {
  Code code = Make("a.py", "f", 1);
  IdOf(code);
  const uint32_t epoch = codes_.epoch();
  code.object.Put<int32_t>(layout_.co_first_line, 100);
  EXPECT_EQ(RecordOf(IdOf(code))->first_line, 100);
  EXPECT_NE(codes_.epoch(), epoch) << "what was derived from the address is void";
}

TEST_F(PythonCodesTest, InAChildACodeWhoseRecordWasNotTakenOverGetsAnother) {
  const Code taken = Make("taken.py", "f", 1), late = Make("late.py", "g", 2), childs = Make("child", "h", 3);
  const uint64_t id_of_taken = IdOf(taken), id_of_late = IdOf(late);
  written_.writer().Truncate(format::TableKind::kCodes, id_of_late * format::kCodeIdBytes);
  codes_.InitAfterFork();
  EXPECT_EQ(IdOf(taken), id_of_taken);
  EXPECT_EQ(IdOf(childs), id_of_late) << "the number is given anew";
  EXPECT_EQ(FileOf(IdOf(late)), "late.py");
  EXPECT_EQ(FileOf(IdOf(childs)), "child");
  EXPECT_EQ(FileOf(IdOf(Make("taken.py", "f", 1))), "taken.py");
  EXPECT_EQ(FileOf(IdOf(Make("late.py", "g", 2))), "late.py");
}

TEST_F(PythonCodesTest, TheEndOfABlockIsTheDeathOfTheCodeInIt) {
  Code code = Make("a.py", "f", 1);
  const uintptr_t address = code.object.address(), block = address - 48;
  IdOf(code);
  codes_.LiesIn(block, address);
  const uint32_t epoch = codes_.epoch();
  codes_.InitAfterFork();
  EXPECT_TRUE(codes_.Knows(block)) << "in a child as well";
  EXPECT_TRUE(codes_.Forget(block));
  EXPECT_NE(codes_.epoch(), epoch);
  EXPECT_FALSE(codes_.Knows(block));
  EXPECT_FALSE(codes_.Knows(address));
  bool is_new = false;
  IdOf(code, &is_new);
  EXPECT_TRUE(is_new);
}

TEST_F(PythonCodesTest, ThreadsThatSeeAndForgetCodesAgree) {
  std::vector<Code> shared;
  for (int i = 0; i < 2000; ++i) shared.push_back(Make("shared.py", "f" + std::to_string(i), i));
  std::vector<std::vector<uint64_t>> seen(4);
  std::vector<std::thread> threads;
  for (auto& ids : seen) {
    threads.emplace_back([&, own = &ids - seen.data()] {
      for (const Code& code : shared) {
        ids.push_back(IdOf(code));
        const Code mine = Make("own.py", "g" + std::to_string(own), code.object.address() % 1000);
        IdOf(mine);
        if (!codes_.Forget(mine.object.address())) ADD_FAILURE() << "its owner alone could forget it";
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& ids : seen) EXPECT_EQ(ids, seen[0]);
  EXPECT_EQ(std::set<uint64_t>(seen[0].begin(), seen[0].end()).size(), shared.size());
  const Recording recording = written_.Read();
  EXPECT_GE(recording.header().tables[static_cast<size_t>(format::TableKind::kCodes)].used, shared.size() * 24);
}

// ---------------------------------------------------------------- the last stack

// Frame, instruction, and up to 3.10 code: outermost first.
using List = std::vector<std::array<uint64_t, 3>>;

// The frames of a thread. Where none lies any more is unmapped: who reads there faults. Each has a page of its own; or,
// with a `step`, each lies so far behind the one further out, as on the interpreter's stack of data.
class Frames {
 public:
  explicit Frames(const PythonLayout& layout, intptr_t step = 0) : layout_(layout), step_(step) {
    if (step == 0) return;
    void* all = mmap(nullptr, kStackBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_ = reinterpret_cast<uintptr_t>(all);
  }
  ~Frames() {
    while (!frames_.empty()) Pop();
    if (stack_ != 0) munmap(reinterpret_cast<void*>(stack_), kStackBytes);
  }
  uintptr_t top() const { return frames_.empty() ? 0 : frames_.back(); }
  uintptr_t frame(size_t i) const { return frames_[i]; }
  size_t depth() const { return frames_.size(); }
  void Push(uint64_t code, uint64_t instruction) {
    const uintptr_t outer = top();
    frames_.push_back(Place());
    for (const uintptr_t page : PagesOf(top())) Map(page, PROT_READ | PROT_WRITE);
    Put(depth() - 1, layout_.previous, outer);
    Put(depth() - 1, layout_.code, code);
    GoOn(depth() - 1, instruction);
  }
  void Pop() {
    const uintptr_t gone = frames_.back();
    frames_.pop_back();
    if (step_ == 0) munmap(reinterpret_cast<void*>(gone), kPage);
    if (step_ == 0) return;
    for (const uintptr_t page : PagesOf(gone)) {
      if (frames_.empty() || (page != PagesOf(top())[0] && page != PagesOf(top())[1])) Map(page, PROT_NONE);
    }
  }
  // The pages on which frames lie that are further out than the i-th, but for its own.
  void UnmapOutside(size_t i) const {
    for (size_t k = 0; k < i; ++k) {
      for (const uintptr_t page : PagesOf(frames_[k])) {
        if (page != PagesOf(frames_[i])[0] && page != PagesOf(frames_[i])[1]) Map(page, PROT_NONE);
      }
    }
  }
  // All pages from that address to the one that frame i begins on.
  void UnmapFrom(uintptr_t address, size_t i) const {
    const uintptr_t first = (address + kPage - 1) & ~(kPage - 1);
    for (uintptr_t page = first; page < PagesOf(frames_[i])[0]; page += kPage) Map(page, PROT_NONE);
  }
  void MapOutside(size_t i) const {
    for (size_t k = 0; k < i; ++k) {
      for (const uintptr_t page : PagesOf(frames_[k])) Map(page, PROT_READ | PROT_WRITE);
    }
  }
  // The chunk of the stack that the thread is on, if it begins behind that frame. Without: none is known.
  uintptr_t ChunkBehind(size_t i) const { return frame(i) + kFrameBytes; }
  void GoOn(size_t i, uint64_t instruction) { Put(i, layout_.instruction, instruction); }
  void CallFrom(size_t i, uintptr_t outer) { Put(i, layout_.previous, outer); }
  // As the interpreter's list says it, outermost first.
  List Walk() const {
    List list;
    for (uintptr_t frame = top(); frame != 0; frame = Get(frame, layout_.previous)) {
      list.push_back({frame, Get(frame, layout_.instruction) & layout_.instruction_mask,
                      layout_.instruction_is_pointer ? 0 : Get(frame, layout_.code)});
    }
    std::reverse(list.begin(), list.end());
    return list;
  }

 private:
  static constexpr size_t kStackBytes = 1 << 20;
  static constexpr size_t kFrameBytes = 112;  // up to where something is read

  uintptr_t Place() const {
    if (step_ == 0) {
      return reinterpret_cast<uintptr_t>(mmap(nullptr, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    }
    if (!frames_.empty()) return frames_.back() + static_cast<uintptr_t>(step_);
    return stack_ + (step_ > 0 ? 520 : kStackBytes - 520);
  }
  static std::array<uintptr_t, 2> PagesOf(uintptr_t frame) {
    return {frame & ~(kPage - 1), (frame + kFrameBytes - 1) & ~(kPage - 1)};
  }
  static void Map(uintptr_t page, int protection) {
    ASSERT_EQ(mprotect(reinterpret_cast<void*>(page), kPage, protection), 0);
  }
  void Put(size_t i, uint16_t offset, uint64_t value) {
    memcpy(reinterpret_cast<char*>(frames_[i]) + offset, &value, sizeof value);
  }
  static uint64_t Get(uintptr_t frame, uint16_t offset) {
    uint64_t value = 0;
    memcpy(&value, reinterpret_cast<const char*>(frame) + offset, sizeof value);
    return value;
  }

  const PythonLayout layout_;
  const intptr_t step_;
  uintptr_t stack_ = 0;
  std::vector<uintptr_t> frames_;
};

class PythonStackTest : public ::testing::TestWithParam<PythonLayout> {
 protected:
  List Kept() const {
    List kept;
    for (uint32_t i = 0; i < stack_->depth(); ++i)
      kept.push_back({stack_->frame(i).frame, stack_->frame(i).instruction, stack_->frame(i).mark});
    return kept;
  }
  PythonStack::Taken Take(const Frames& frames, uint32_t epoch = 1) {
    taken_chunk_ = chunk_;
    return stack_->Take(GetParam(), chunk_, frames.top(), epoch);
  }
  // As the usual way asks, by what was compiled for the version, and as the others do.
  bool IsSame(const Frames& frames, uint32_t epoch = 1) {
    const PythonLayout& layout = GetParam();
    const bool is_same = stack_->IsSame(layout, chunk_, frames.top(), epoch);
    const bool is_same_by_form = !layout.instruction_is_pointer ? IsSameBy<PythonForm::kIndices>(frames, epoch)
                                 : layout.previous == 48        ? IsSameBy<PythonForm::k3_11>(frames, epoch)
                                                                : IsSameBy<PythonForm::k3_12>(frames, epoch);
    EXPECT_EQ(is_same, is_same_by_form);
    if (layout.instruction_is_pointer) {  // one by one
      EXPECT_EQ(is_same, IsSameBy<PythonForm::kPointers>(frames, epoch));
    }
    return is_same;
  }
  template <PythonForm kForm>
  bool IsSameBy(const Frames& frames, uint32_t epoch) {
    uint64_t instruction = 0;
    const PythonStack::Kept* rest = nullptr;
    if (!stack_->InnerAreSame<kForm>(GetParam(), frames.top(), epoch, &instruction, &rest)) return false;
    const auto compare = [&] { return stack_->CompareOuter<kForm>(GetParam(), chunk_, rest); };
    bool is_same = true;
    if (rest != nullptr) {
      if (compare() == PythonStack::Outer::kUnknown) stack_->MakeDigests(rest);
      EXPECT_NE(compare(), PythonStack::Outer::kUnknown);
      is_same = compare() == PythonStack::Outer::kSame;
    }
    return is_same && instruction == stack_->innermost()->instruction;
  }

  // Of frames that all wait at instruction 2.
  void ExpectEachChangeIsSeen(Frames& frames) {
    Take(frames);
    ASSERT_TRUE(IsSame(frames));
    for (size_t i = 0; i < frames.depth(); ++i) {
      frames.GoOn(i, 40);
      EXPECT_FALSE(IsSame(frames)) << "frame " << i << " went on";
      frames.GoOn(i, 2);
      frames.CallFrom(i, 4096);
      EXPECT_FALSE(IsSame(frames)) << "frame " << i << " was called from elsewhere";
      frames.CallFrom(i, i == 0 ? 0 : frames.frame(i - 1));
    }
    ASSERT_TRUE(IsSame(frames));
  }

  std::unique_ptr<PythonStack> stack_ = [] {
    auto stack = std::make_unique<PythonStack>();
    stack->Init(kRootNode);
    return stack;
  }();
  uintptr_t chunk_ = 0;        // that the thread is on
  uintptr_t taken_chunk_ = 0;  // and was on at the last Take()
};

// The stacks of a thread, which it keeps two of.
class PythonThreadTest : public PythonStackTest {
 protected:
  // What the tracer does with a list that is not the last one. Gives how many entries were taken anew.
  uint32_t Meet(const Frames& frames) {
    thread_->Choose(GetParam(), frames.top(), 1);
    return thread_->stack().Take(GetParam(), 0, frames.top(), 1).fresh;
  }

  std::unique_ptr<PythonThread> thread_ = [] {
    auto thread = std::make_unique<PythonThread>();
    thread->Init(1, kRootNode);
    return thread;
  }();
};
INSTANTIATE_TEST_SUITE_P(Layouts, PythonThreadTest, ::testing::Values(LayoutOf3_8(), LayoutOf3_11(), LayoutOf3_12()),
                         [](const auto& test) {
                           return test.index == 0 ? "Of3_8" : test.index == 1 ? "Of3_11" : "Of3_12";
                         });

TEST_P(PythonThreadTest, AGeneratorAndTheDepthItCallsAreBothKept) {
  Frames frames(GetParam());
  for (uint64_t i = 0; i < 3; ++i) frames.Push(1, 2 * i);
  for (uint64_t i = 3; i < 40; ++i) frames.Push(2, 2 * i);
  EXPECT_EQ(Meet(frames), 40u);
  frames.GoOn(2, 90);
  const uintptr_t deep_top = frames.top();
  for (int round = 0; round < 3; ++round) {
    // The list ends at the generator's frame now; those further in are gone, though they lie where they lay.
    thread_->Choose(GetParam(), frames.frame(2), 1);
    thread_->stack().Take(GetParam(), 0, frames.frame(2), 1);
    EXPECT_EQ(thread_->stack().depth(), 3u);
    frames.GoOn(2, 4);
    EXPECT_TRUE(thread_->Choose(GetParam(), deep_top, 1)) << "the deep one is still there";
    EXPECT_TRUE(thread_->stack().IsSame(GetParam(), 0, deep_top, 1));
    frames.GoOn(2, 90);
  }
}

TEST_P(PythonThreadTest, ADeepListWhoseOuterFramesWentOnIsNotTheKeptOne) {
  Frames frames(GetParam());
  for (uint64_t i = 0; i < 40; ++i) frames.Push(2, 2 * i);
  Meet(frames);
  thread_->Choose(GetParam(), frames.frame(2), 1);
  thread_->stack().Take(GetParam(), 0, frames.frame(2), 1);
  frames.GoOn(1, 70);
  EXPECT_FALSE(thread_->Choose(GetParam(), frames.top(), 1));
  EXPECT_EQ(Meet(frames), 39u) << "all but the outermost";
}
INSTANTIATE_TEST_SUITE_P(Layouts, PythonStackTest, ::testing::Values(LayoutOf3_8(), LayoutOf3_11(), LayoutOf3_12()),
                         [](const auto& test) {
                           return test.index == 0 ? "Of3_8" : test.index == 1 ? "Of3_11" : "Of3_12";
                         });

TEST_P(PythonStackTest, ItIsTheListWhateverThatWasBefore) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  Frames frames(GetParam());
  List last;
  for (int i = 0; i < 20'000; ++i) {
    for (uint32_t pops = random() % 8 == 0 ? random() % (frames.depth() + 1) : random() % 3; pops > 0; --pops) {
      if (frames.depth() > 1) frames.Pop();
    }
    for (uint32_t pushes = frames.depth() == 0 ? 1 : random() % 4; pushes > 0 && frames.depth() < 60; --pushes) {
      frames.Push(1 + random() % 5, 2 * (random() % 10));
    }
    // A frame that waits for another to return does not go on; but it may, after that one returned and was called
    // again.
    if (random() % 3 == 0) frames.GoOn(frames.depth() - 1 - random() % frames.depth(), 2 * (random() % 10));
    const auto list = frames.Walk();
    ASSERT_EQ(IsSame(frames), list == last);
    const PythonStack::Taken taken = Take(frames);
    ASSERT_FALSE(stack_->cut());
    ASSERT_EQ(Kept(), list);
    ASSERT_EQ(taken.shared + taken.fresh, list.size());
    for (uint32_t k = 0; k < taken.shared; ++k) ASSERT_EQ(list[k], last.at(k)) << "what is shared was so before";
    for (uint32_t k = 0; k < taken.fresh; ++k) ASSERT_EQ(taken.frames[k].frame, list[list.size() - 1 - k][0]);
    ASSERT_TRUE(IsSame(frames));
    last = list;
  }
}

TEST_P(PythonStackTest, AnOuterFrameThatWentOnIsSeenThoughTheInnerOnesAreAsTheyWere) {
  Frames frames(GetParam());
  for (uint64_t i = 0; i < 5; ++i) frames.Push(1, 2 * i);
  Take(frames);
  frames.GoOn(1, 40);
  EXPECT_FALSE(IsSame(frames));
  EXPECT_EQ(Take(frames).shared, 1u);
}

// ---------------------------------------------------------------- frames one behind the other

// Of a recursion, over some pages; and the other way round, which no interpreter does.
constexpr intptr_t kSteps[] = {144, 152, 88, -144, 2048};

TEST_P(PythonStackTest, WhateverFrameOfARecursionWentOnIsSeen) {
  for (const intptr_t step : kSteps) {
    Frames frames(GetParam(), step);
    for (uint64_t i = 0; i < 120; ++i) frames.Push(1, 2);
    SCOPED_TRACE(fmt::format("{} bytes apart", step));
    ASSERT_NO_FATAL_FAILURE(ExpectEachChangeIsSeen(frames));
  }
}

TEST_P(PythonStackTest, FramesThatLieWhereARecursionLayButAreNotOfTheListAreNotRead) {
  for (const intptr_t step : kSteps) {
    Frames frames(GetParam(), step);
    Frames others(GetParam());
    others.Push(1, 2);
    for (uint64_t i = 0; i < 120; ++i) frames.Push(1, 2);
    Take(frames);
    for (size_t i = 1; i < frames.depth(); ++i) {
      frames.CallFrom(i, others.top());  // as of a generator
      frames.UnmapOutside(i);
      EXPECT_FALSE(IsSame(frames)) << i;
      frames.MapOutside(i);
      frames.CallFrom(i, frames.frame(i - 1));
    }
    EXPECT_TRUE(IsSame(frames));
  }
}

TEST_P(PythonStackTest, InAChunkOfTheInterpretersStackWhateverFrameWentOnIsSeen) {
  for (const intptr_t step : kSteps) {
    for (const size_t behind : {0u, 1u, 30u, 60u, 110u, 119u}) {
      Frames frames(GetParam(), step);
      for (uint64_t i = 0; i < 120; ++i) frames.Push(1, 2);
      chunk_ = frames.ChunkBehind(behind);
      SCOPED_TRACE(fmt::format("{} bytes apart, in a chunk behind {}", step, behind));
      ASSERT_NO_FATAL_FAILURE(ExpectEachChangeIsSeen(frames));
    }
  }
}

TEST_P(PythonStackTest, WhatLiesOutsideOfTheChunkIsNotReadBeforeItIsKnownToBeOfTheList) {
  for (const intptr_t step : kSteps) {
    for (const size_t behind : {0u, 20u, 60u, 100u}) {
      Frames frames(GetParam(), step);
      Frames others(GetParam());
      others.Push(1, 2);
      for (uint64_t i = 0; i < 120; ++i) frames.Push(1, 2);
      chunk_ = frames.ChunkBehind(behind);
      Take(frames);
      for (size_t i = behind + 1; i < frames.depth(); ++i) {
        frames.CallFrom(i, others.top());
        // All of the chunk can be read, wherever the list goes on. What interpreters do not do has no such chunk.
        frames.UnmapOutside(step > 0 ? behind + 1 : i);
        EXPECT_FALSE(IsSame(frames)) << i << ", " << step;
        frames.MapOutside(i);
        frames.CallFrom(i, frames.frame(i - 1));
      }
    }
  }
}

// A frame that lies further behind a chunk's beginning may be a generator's, and those it led to elsewhere.
TEST_P(PythonStackTest, OfAChunkNoMoreIsReadAtOnceThanTheSmallestHas) {
  constexpr uintptr_t kSmallestChunk = 16 << 10;
  Frames frames(GetParam(), 1024);
  Frames others(GetParam());
  others.Push(1, 2);
  for (uint64_t i = 0; i < 60; ++i) frames.Push(1, 2);
  chunk_ = frames.ChunkBehind(0);
  Take(frames);
  ASSERT_TRUE(IsSame(frames));
  for (const size_t i : {20u, 30u, 58u}) {
    frames.CallFrom(i, others.top());
    frames.UnmapFrom(chunk_ + kSmallestChunk, i);
    EXPECT_FALSE(IsSame(frames)) << i;
    frames.MapOutside(i);
    frames.CallFrom(i, frames.frame(i - 1));
  }
  EXPECT_TRUE(IsSame(frames));
}

TEST_P(PythonStackTest, OnAnotherChunkRunsAreFoundAnew) {
  for (const intptr_t step : kSteps) {
    Frames frames(GetParam(), step);
    Frames others(GetParam());
    others.Push(1, 2);
    for (uint64_t i = 0; i < 100; ++i) frames.Push(1, 2);
    chunk_ = frames.ChunkBehind(0);
    Take(frames);
    ASSERT_TRUE(IsSame(frames));
    // That chunk is gone, and what lies where it lay is on others.
    for (const uintptr_t chunk : {uintptr_t{0}, frames.ChunkBehind(80), frames.ChunkBehind(99) + (1 << 20)}) {
      chunk_ = chunk;
      EXPECT_FALSE(IsSame(frames)) << "what may be read at once is another question now";
      EXPECT_EQ(Take(frames).fresh, 0u);
      EXPECT_TRUE(IsSame(frames));
      frames.CallFrom(99, others.top());
      frames.UnmapOutside(step > 0 && chunk == frames.ChunkBehind(80) ? 81 : 99);
      EXPECT_FALSE(IsSame(frames));
      frames.MapOutside(99);
      frames.CallFrom(99, frames.frame(98));
    }
  }
}

// What went on in several frames at once does not cancel in a digest: whichever frames, and however far they went on.
TEST_P(PythonStackTest, WhicheverFramesOfAChunkWentOnIsSeen) {
  Frames frames(GetParam(), 144);
  for (uint64_t i = 0; i < 60; ++i) frames.Push(1, 2);
  chunk_ = frames.ChunkBehind(0);
  Take(frames);
  ASSERT_TRUE(IsSame(frames));
  for (uint32_t which = 1; which < 1u << 14; ++which) {  // fourteen neighbours, and so several of each lane
    for (size_t i = 0; i < 14; ++i) frames.GoOn(20 + i, (which >> i & 1) != 0 ? 4 : 2);
    ASSERT_FALSE(IsSame(frames)) << which;
  }
  for (size_t i = 0; i < 14; ++i) frames.GoOn(20 + i, 2);
  for (size_t i = 1; i < 50; ++i) {
    for (size_t k = i + 1; k < 59; ++k) {
      for (uint64_t far = 1; (far & GetParam().instruction_mask) != 0; far <<= 3) {
        frames.GoOn(i, 2 ^ far), frames.GoOn(k, 2 ^ far);
        ASSERT_FALSE(IsSame(frames)) << i << ", " << k << ", " << far;
      }
      frames.GoOn(i, 2), frames.GoOn(k, 2);
    }
  }
  EXPECT_TRUE(IsSame(frames));
}

TEST_P(PythonStackTest, ADigestIsThatOfTheStackHoweverOftenItGrewAndShrank) {
  Frames frames(GetParam(), 144);
  for (uint64_t i = 0; i < 60; ++i) frames.Push(1, 2);
  chunk_ = frames.ChunkBehind(0);
  for (int round = 0; round < 6; ++round) {
    for (size_t depth = 60; depth > 30; --depth) {
      Take(frames);
      ASSERT_TRUE(IsSame(frames));
      frames.GoOn(depth - 1, 4);  // as an event does that finds only the innermost frame gone on
      stack_->GoOn(4, kRootNode);
      frames.Push(1, 2);
      Take(frames);
      ASSERT_TRUE(IsSame(frames));
      frames.GoOn(depth - 1, 2);
      ASSERT_FALSE(IsSame(frames)) << depth;
      frames.GoOn(depth - 1, 4);
      frames.Pop();
      Take(frames);
      frames.GoOn(10, 6);
      ASSERT_FALSE(IsSame(frames)) << depth;
      frames.GoOn(10, 2);
      ASSERT_TRUE(IsSame(frames));
      frames.Pop();
    }
    while (frames.depth() < 60) frames.Push(1, 2);
  }
}

TEST(PythonChunkTest, WhatDoesNotLookLikeOneIsNotSound) {
  PythonLayout layout = LayoutOf3_12();
  layout.chunk = 8;
  std::vector<uint64_t> chunk((16 << 10) / 8);
  const uintptr_t begin = reinterpret_cast<uintptr_t>(chunk.data()), end = begin + (16 << 10);
  chunk[1] = 16 << 10;
  const auto look = [&](uint64_t chunk_address, uint64_t top, uint64_t limit) {
    const std::array<uint64_t, 4> state = {0, chunk_address, top, limit};
    return LookAtPythonChunk(layout, reinterpret_cast<uintptr_t>(state.data()));
  };
  EXPECT_EQ(look(begin, begin + 32, end), Soundness::kSound);
  EXPECT_EQ(look(0, 0, 0), Soundness::kEmpty) << "of a thread that has run nothing yet";
  EXPECT_EQ(look(0, begin + 32, 0), Soundness::kUnsound);
  EXPECT_EQ(look(4096, begin + 32, end), Soundness::kUnsound) << "nothing can be read there";
  EXPECT_EQ(look(begin, begin, end), Soundness::kUnsound);
  EXPECT_EQ(look(begin, end + 8, end), Soundness::kUnsound);
  EXPECT_EQ(look(begin, begin + 32, end + 8), Soundness::kUnsound) << "its size is another one";
  chunk[1] = 8 << 10;
  EXPECT_EQ(look(begin, begin + 32, begin + (8 << 10)), Soundness::kUnsound) << "none is so small";
  EXPECT_EQ(LookAtPythonChunk(layout, 4096), Soundness::kUnsound);
  EXPECT_EQ(LookAtPythonChunk(LayoutOf3_8(), 4096), Soundness::kSound) << "it has none";
}

TEST_P(PythonStackTest, ARecursionIsTheListHoweverItGrewAndShrank) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (const intptr_t step : kSteps) {
    Frames frames(GetParam(), step);
    List last;
    for (int i = 0; i < 2'000; ++i) {
      const size_t to = 1 + random() % 150;
      for (size_t steps = random() % 40; steps > 0 && frames.depth() > to; --steps) frames.Pop();
      for (size_t steps = 1 + random() % 40; steps > 0 && frames.depth() < to; --steps) {
        frames.Push(1, 2 * (random() % 2));
      }
      if (random() % 4 == 0) frames.GoOn(random() % frames.depth(), 2 * (random() % 2));
      if (random() % 4 == 0) chunk_ = random() % 4 == 0 ? 0 : frames.ChunkBehind(random() % frames.depth());
      const auto list = frames.Walk();
      const bool is_same = IsSame(frames);
      if (chunk_ == taken_chunk_) {
        ASSERT_EQ(is_same, list == last);
      } else {
        ASSERT_TRUE(!is_same || list == last);
      }
      Take(frames);
      ASSERT_EQ(Kept(), list);
      ASSERT_TRUE(IsSame(frames));
      if (random() % 2 == 0) {  // as an event does that finds only the innermost frame gone on
        const uint64_t instruction = 2 * (random() % 2);
        frames.GoOn(frames.depth() - 1, instruction);
        stack_->GoOn(instruction, kRootNode);
        ASSERT_TRUE(IsSame(frames));
      }
      last = Kept();
    }
  }
}

TEST_P(PythonStackTest, AnotherEpochVoidsWhatIsKept) {
  Frames frames(GetParam());
  frames.Push(1, 2);
  Take(frames, 1);
  EXPECT_FALSE(IsSame(frames, 2));
  EXPECT_EQ(Take(frames, 2).shared, 0u);
}

// ---------------------------------------------------------------- whose frames

// Up to 3.11 the state of the thread that holds the GIL is looked at: whose it is stays remembered, by its address.
TEST(PythonThreadStateTest, AStateThatLiesWhereAnotherThreadsLayIsNotTakenForThat) {
  constexpr uintptr_t kSelf = 77;
  struct {
    uintptr_t top = 4096, thread_id = 78;
  } state;  // of a thread that is gone soon
  uintptr_t holder = reinterpret_cast<uintptr_t>(&state);
  PythonRuntime python;
  python.layout = LayoutOf3_8();
  python.layout.top = 0;
  python.layout.thread_id = 8;
  python.holder = &holder;
  python.own_thread_state = []() -> void* { return nullptr; };
  const auto thread = std::make_unique<PythonThread>();
  thread->Init(kSelf, kRootNode);
  EXPECT_EQ(thread->Top(python), 0u) << "another's";
  holder = 0;
  EXPECT_EQ(thread->Top(python), 0u);
  thread->NoteRawBlock(&state);
  state.thread_id = kSelf;
  holder = reinterpret_cast<uintptr_t>(&state);
  EXPECT_EQ(thread->Top(python), state.top);
  EXPECT_EQ(thread->state(), holder);
}

// ---------------------------------------------------------------- a list that is too deep

// What is kept of the list: all, or so many of its innermost frames.
void ExpectKept(const PythonStack& stack, const List& kept, const List& list) {
  ASSERT_LE(kept.size(), list.size());
  ASSERT_TRUE(std::equal(kept.begin(), kept.end(), list.end() - static_cast<ptrdiff_t>(kept.size())));
  if (stack.cut()) {
    ASSERT_GT(list.size(), PythonStack::kWhole);
    ASSERT_GE(kept.size(), PythonStack::kFewest);
    ASSERT_LE(kept.size(), PythonStack::kMost);
  } else {
    ASSERT_EQ(kept.size(), list.size());
    ASSERT_LE(list.size(), PythonStack::kRoom);
  }
}

TEST_P(PythonStackTest, OfADeepListTheInnermostFramesAreKeptHoweverItGrewAndShrank) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  Frames frames(GetParam());
  frames.Push(1, 0);
  Take(frames);
  List kept = Kept();
  uintptr_t behind = 0;  // the frame that the outermost kept one was called from
  size_t cut = 0, same = 0, to = 0;
  for (int i = 0; i < 1'000; ++i) {
    // Too deep at least once in a while.
    if (i % 20 == 0) to = i % 100 == 0 ? 4000 : 1 + random() % (random() % 2 == 0 ? 4000 : PythonStack::kRoom + 100);
    const size_t most = i % 100 < 12 || random() % 4 == 0 ? 900 : 3;
    for (size_t steps = random() % most; steps > 0 && frames.depth() > to; --steps) frames.Pop();
    for (size_t steps = random() % most; steps > 0 && frames.depth() < to; --steps) {
      frames.Push(1 + random() % 5, 2 * (random() % 10));
    }
    if (random() % 3 == 0) frames.GoOn(frames.depth() - 1 - random() % std::min<size_t>(frames.depth(), 5), 20);
    if (random() % 20 == 0) frames.GoOn(random() % frames.depth(), 2 * (random() % 10));

    const List list = frames.Walk();
    const size_t depth = list.size();
    const bool is_same = kept.size() <= depth &&
                         std::equal(kept.begin(), kept.end(), list.end() - static_cast<ptrdiff_t>(kept.size())) &&
                         (kept.size() < depth ? list[depth - kept.size() - 1][0] : 0) == behind;
    ASSERT_EQ(IsSame(frames), is_same);
    const PythonStack::Taken taken = Take(frames);
    kept = Kept();
    ASSERT_NO_FATAL_FAILURE(ExpectKept(*stack_, kept, list));
    ASSERT_EQ(taken.shared + taken.fresh, kept.size());
    ASSERT_TRUE(IsSame(frames));
    behind = kept.size() < depth ? list[depth - kept.size() - 1][0] : 0;
    cut += stack_->cut() ? 1 : 0;
    same += is_same ? 1 : 0;
  }
  EXPECT_GT(cut, 50u);
  EXPECT_GT(same, 50u);
}

// Each event costs what is taken anew. While such a list was not kept, those were kRoom frames.
TEST_P(PythonStackTest, ARecursionOfAnyDepthTakesFewFramesAnEvent) {
  Frames frames(GetParam());
  size_t taken = 0, events = 0;
  const auto event = [&] {
    taken += Take(frames).fresh;
    ++events;
  };
  for (int i = 0; i < 4000; ++i) {
    frames.Push(1, 2);
    event();
  }
  for (int i = 0; i < 100; ++i) event();
  while (frames.depth() > 1) {
    frames.Pop();
    event();
  }
  EXPECT_LT(taken, 8 * events);
}

TEST_P(PythonStackTest, AListThatGoesOnWhereItEndedOrEndsWhereItWentOnIsAnother) {
  Frames frames(GetParam());
  for (uint32_t i = 0; i < PythonStack::kRoom; ++i) frames.Push(1, 2);
  Take(frames);
  ASSERT_FALSE(stack_->cut()) << "so many are kept whole";
  frames.Push(1, 2);
  Take(frames);
  ASSERT_TRUE(stack_->cut());
  ASSERT_EQ(stack_->depth(), PythonStack::kAnew);
  const size_t outermost = frames.depth() - stack_->depth();
  frames.CallFrom(outermost, 0);
  EXPECT_FALSE(IsSame(frames)) << "now it begins with the outermost kept frame";
  Take(frames);
  EXPECT_FALSE(stack_->cut());
  EXPECT_EQ(stack_->depth(), PythonStack::kAnew);
  frames.CallFrom(outermost, frames.frame(0));
  EXPECT_FALSE(IsSame(frames)) << "now there is one more";
  Take(frames);
  EXPECT_EQ(stack_->depth(), PythonStack::kAnew + 1);
  frames.CallFrom(outermost, frames.frame(outermost - 1));
}

TEST_P(PythonStackTest, AListThatIsCutAndOtherwiseForgottenIsTakenWholeAgain) {
  Frames frames(GetParam());
  for (uint32_t i = 0; i < PythonStack::kRoom + 1; ++i) frames.Push(1, 2);
  Take(frames);
  while (frames.depth() > 3) frames.Pop();
  EXPECT_EQ(Take(frames).fresh, 3u);
  EXPECT_FALSE(stack_->cut());
  EXPECT_EQ(Kept(), frames.Walk());
  EXPECT_EQ(stack_->outer_node(), kRootNode);
}

}  // namespace
}  // namespace allocline::testing
