#include "report/profile_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "report/path_text.h"
#include "report/string_pool.h"

namespace allocline {
namespace {

// Interned texts are equal exactly if they begin at the same byte.
auto IdentityOf(const Location& location) {
  return std::make_tuple(location.where.data(), location.file.data(), location.function.data(), location.module.data(),
                         location.line, static_cast<uint32_t>(location.level), location.role == FrameRole::kSynthetic,
                         location.inlined, location.python);
}
using LocationIdentity = decltype(IdentityOf(Location{}));

auto IdentityOf(const Site& site) { return std::make_tuple(site.stack, site.domain, site.thread); }
using SiteIdentity = decltype(IdentityOf(Site{}));

std::string NameWithoutFile(const Location& location) {
  std::string_view module = Basename(location.module);
  if (location.function.empty()) return std::string(module.empty() ? "<unknown>" : module);
  if (module.empty()) return std::string(location.function);
  return fmt::format("{} [{}]", location.function, module);
}

std::vector<DomainSum> SumDomains(const std::vector<Site>& sites) {
  std::vector<DomainSum> sums;
  for (const Site& site : sites) {
    auto sum = std::find_if(sums.begin(), sums.end(), [&](const DomainSum& s) { return s.domain == site.domain; });
    if (sum == sums.end()) sum = sums.insert(sums.end(), {.domain = site.domain});
    sum->live_bytes += site.live_bytes;
    sum->live_blocks += site.live_blocks;
    sum->variance += site.variance;
  }
  std::erase_if(sums, [](const DomainSum& sum) { return sum.live_bytes == 0 && sum.live_blocks == 0; });
  std::sort(sums.begin(), sums.end(), [](const DomainSum& a, const DomainSum& b) {
    return std::tie(b.live_bytes, a.domain) < std::tie(a.live_bytes, b.domain);
  });
  return sums;
}

}  // namespace

struct ProfileBuilder::Tables {
  std::shared_ptr<StringPool> strings = std::make_shared<StringPool>();
  std::shared_ptr<StackTable> stacks = std::make_shared<StackTable>();
  std::vector<Site> sites;
  absl::flat_hash_map<LocationIdentity, LocationId> location_ids;
  absl::flat_hash_map<uint64_t, StackId> stack_ids;  // caller << 32 | location
  absl::flat_hash_map<SiteIdentity, size_t> site_indices;
};

ProfileBuilder::ProfileBuilder() : tables_(std::make_unique<Tables>()) {
  tables_->stacks->nodes_.push_back({});  // the root
}
ProfileBuilder::~ProfileBuilder() = default;
ProfileBuilder::ProfileBuilder(ProfileBuilder&&) noexcept = default;
ProfileBuilder& ProfileBuilder::operator=(ProfileBuilder&&) noexcept = default;

std::string_view ProfileBuilder::Intern(std::string_view text) { return tables_->strings->Intern(text); }

LocationId ProfileBuilder::AddLocation(const Location& given) {
  Location location = given;
  location.file = Intern(given.file);
  location.function = Intern(given.function);
  location.module = Intern(given.module);
  if (!given.where.empty()) {
    location.where = Intern(given.where);
  } else {
    location.where = location.file.empty() ? Intern(NameWithoutFile(location)) : location.file;
  }
  std::vector<Location>& locations = tables_->stacks->locations_;
  auto [entry, is_new] = tables_->location_ids.try_emplace(IdentityOf(location), locations.size());
  if (is_new) locations.push_back(location);
  return entry->second;
}

StackId ProfileBuilder::Push(StackId caller, LocationId location) {
  std::vector<StackNode>& nodes = tables_->stacks->nodes_;
  auto [entry, is_new] = tables_->stack_ids.try_emplace(uint64_t{caller} << 32 | location, nodes.size());
  if (is_new) nodes.push_back({.parent = caller, .location = location});
  return entry->second;
}

StackId ProfileBuilder::AddSite(const Site& given) {
  Site site = given;
  if (site.stack == kRootStack) site.stack = Push(kRootStack, AddLocation({}));
  auto [entry, is_new] = tables_->site_indices.try_emplace(IdentityOf(site), tables_->sites.size());
  if (is_new) {
    tables_->sites.push_back(site);
    return site.stack;
  }
  tables_->sites[entry->second].Add(site);
  return site.stack;
}

uint32_t ProfileBuilder::AddThread(const ProfileThread& given) {
  ProfileThread thread = given;
  thread.name = Intern(given.name);
  thread.label = Intern(given.label);
  tables_->stacks->threads_.push_back(thread);
  return static_cast<uint32_t>(tables_->stacks->threads_.size() - 1);
}

Profile ProfileBuilder::Build(const UserLineRule& rule) && {
  StackTable& stacks = *tables_->stacks;
  for (Location& location : stacks.locations_) {
    if (location.role != FrameRole::kSynthetic) location.role = rule.Classify(location);
  }
  // A stack's line is its innermost frame's if no frame further out has a better claim. Callers have smaller ids, so
  // one pass settles all stacks.
  using Claim = UserLineRule::Claim;
  std::vector<Claim> claims(stacks.locations_.size());
  for (LocationId id = 0; id < claims.size(); ++id) claims[id] = rule.ClaimOf(stacks.locations_[id]);
  std::vector<Claim> best(stacks.nodes_.size(), Claim::kNone);
  std::vector<bool> in_python(stacks.nodes_.size(), false);
  for (StackId id = 1; id < stacks.nodes_.size(); ++id) {
    StackNode& node = stacks.nodes_[id];
    in_python[id] = in_python[node.parent] || stacks.locations_[node.location].python;
    const Claim outer = best[node.parent];
    const Claim own = UserLineRule::Inside(outer, in_python[node.parent], claims[node.location]);
    node.user = own >= outer ? id : stacks.nodes_[node.parent].user;
    best[id] = std::max(own, outer);
  }
  for (const Site& site : tables_->sites) {
    summary_.live_bytes += site.live_bytes;
    summary_.live_blocks += site.live_blocks;
  }
  summary_.domains = SumDomains(tables_->sites);
  stacks.strings_ = tables_->strings;
  return Profile(tables_->stacks, std::move(tables_->sites), std::move(summary_));
}

}  // namespace allocline
