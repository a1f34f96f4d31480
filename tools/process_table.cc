#include "tools/process_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/size_text.h"

namespace allocline {
namespace {

ProcessRow SumOf(std::span<const ProcessRow> rows, std::string program) {
  ProcessRow sum{.program = std::move(program)};
  for (const ProcessRow& row : rows) {
    sum.live_bytes += row.live_bytes;
    sum.inherited_bytes += row.inherited_bytes;
    sum.peak_bytes += row.peak_bytes;
    sum.rss_bytes += row.rss_bytes;
  }
  return sum;
}

std::string Render(const ProcessRow& row, size_t width) {
  return fmt::format("  {:<{}}  {:>8}  {:<8}{:>10}{:>10}{:>10}{}{}\n", row.program, width,
                     row.pid != 0 ? fmt::to_string(row.pid) : "", row.end, SizeText(row.live_bytes),
                     SizeText(row.peak_bytes), row.rss_bytes != 0 ? SizeText(row.rss_bytes) : "-",
                     row.leading_line.empty() ? "" : "  ", row.leading_line);
}

}  // namespace

std::string RenderProcessTable(std::span<const ProcessRow> rows, size_t most) {
  const std::span<const ProcessRow> shown = rows.first(std::min(most, rows.size()));
  const std::span<const ProcessRow> others = rows.subspan(shown.size());
  size_t width = std::string_view("process").size();
  for (const ProcessRow& row : shown) width = std::max(width, row.program.size());
  const ProcessRow rest = SumOf(others, fmt::format("{} others", others.size()));
  const ProcessRow sum = SumOf(rows, fmt::format("all {}", rows.size()));
  width = std::max({width, rest.program.size(), sum.program.size()});

  std::string text =
      fmt::format("  {:<{}}  {:>8}  {:<8}{:>10}{:>10}{:>10}\n", "process", width, "pid", "end", "live", "peak", "RSS");
  for (const ProcessRow& row : shown) text += Render(row, width);
  if (!others.empty()) text += Render(rest, width);
  text += Render(sum, width);
  if (sum.inherited_bytes > 0) {
    text += fmt::format("  not counted twice: {} that processes have from the one they were forked from\n",
                        SizeText(sum.inherited_bytes));
  }
  return text;
}

}  // namespace allocline
