// Building short texts (paths, labels) in a fixed buffer, for code that cannot allocate.
#ifndef ALLOCLINE_BASE_TEXT_H_
#define ALLOCLINE_BASE_TEXT_H_

#include <cstddef>
#include <cstdint>

namespace allocline {

// Appends to a caller's buffer, always NUL-terminated; what does not fit is cut and `truncated()` tells.
class Text {
 public:
  Text(char* buffer, size_t bytes) : buffer_(buffer), capacity_(bytes - 1) { buffer_[0] = '\0'; }
  template <size_t N>
  explicit Text(char (&buffer)[N]) : Text(buffer, N) {}

  Text& Add(const char* text) {
    while (*text != '\0') Put(*text++);
    return *this;
  }
  Text& Add(const char* text, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) Put(text[i]);
    return *this;
  }
  // What is somebody else's text, for a terminal: control characters (C0, DEL, and C1 as UTF-8 has them) and bytes that
  // are not UTF-8 become question marks.
  Text& AddPrintable(const char* text) {
    while (*text != '\0') {
      const size_t bytes = Utf8Length(text);
      const auto first = static_cast<unsigned char>(text[0]);
      const bool is_control =
          first < 0x20 || first == 0x7f || (first == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0);
      if (bytes == 0 || is_control) {
        Put('?');
        text += bytes == 0 ? 1 : bytes;
      } else {
        Add(text, bytes);
        text += bytes;
      }
    }
    return *this;
  }
  Text& AddNumber(uint64_t value) {
    char digits[20];
    int n = 0;
    do {
      digits[n++] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    while (n > 0) Put(digits[--n]);
    return *this;
  }
  const char* c_str() const { return buffer_; }
  size_t size() const { return size_; }
  bool truncated() const { return truncated_; }

 private:
  // Of the character that begins there; 0 if none does.
  static size_t Utf8Length(const char* text) {
    const auto first = static_cast<unsigned char>(text[0]);
    const size_t bytes = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : 4;
    if ((first >= 0x80 && first < 0xc2) || first > 0xf4) return 0;
    for (size_t i = 1; i < bytes; ++i) {
      if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
    }
    return bytes;
  }
  void Put(char c) {
    if (size_ == capacity_) {
      truncated_ = true;
      return;
    }
    buffer_[size_++] = c;
    buffer_[size_] = '\0';
  }

  char* buffer_;
  size_t capacity_;
  size_t size_ = 0;
  bool truncated_ = false;
};

// The part of `path` after its last slash.
inline const char* Basename(const char* path) {
  const char* base = path;
  for (; *path != '\0'; ++path) {
    if (*path == '/') base = path + 1;
  }
  return base;
}

}  // namespace allocline

#endif  // ALLOCLINE_BASE_TEXT_H_
