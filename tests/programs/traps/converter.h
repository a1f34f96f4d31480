// What the libraries lib_converter_*.c share: what iconv wants of a converter that converts nothing.
#ifndef ALLOCLINE_TESTS_PROGRAMS_TRAPS_CONVERTER_H_
#define ALLOCLINE_TESTS_PROGRAMS_TRAPS_CONVERTER_H_

// What gconv.h says of struct __gconv_step, as far as a converter has to fill it in.
struct Step {
  void* library;
  const char* library_name;
  int counter;
  char *from, *to;
  void *convert, *convert_byte, *init, *end;
  int min_from, max_from, min_to, max_to;
  int is_stateful;
  void* data;
};

static inline int FillIn(struct Step* step, void* data) {
  step->min_from = step->max_from = 1;
  step->min_to = step->max_to = 4;
  step->is_stateful = 0;
  step->data = data;
  return 0;
}
int gconv(void) { return 4; }  // __GCONV_EMPTY_INPUT
void gconv_end(struct Step* step) { (void)step; }

#endif  // ALLOCLINE_TESTS_PROGRAMS_TRAPS_CONVERTER_H_
