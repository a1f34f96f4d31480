// libc closes a converter's library some calls after its last use, and the next one comes to lie where it was.
// GCONV_PATH says where they are. Ends with 77 if it did not: then nothing is shown.
#include <iconv.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static unsigned long AddressOf(const char* library) {
  FILE* maps = fopen("/proc/self/maps", "r");
  char line[512];
  unsigned long start = 0;
  while (start == 0 && fgets(line, sizeof line, maps) != NULL) {
    if (strstr(line, library) != NULL) sscanf(line, "%lx", &start);
  }
  fclose(maps);
  return start;
}

int main(void) {
  static const char* const kNames[] = {"THREE", "ONE", "THREE", "THREE", "THREE", "THREE", "TWO", "TWO"};
  unsigned long one = 0, two = 0;
  for (int i = 0; i < 8; ++i) {
    iconv_t converter = iconv_open("UTF-8", kNames[i]);
    if (converter == (iconv_t)-1) {
      perror(kNames[i]);
      return 1;
    }
    if (strcmp(kNames[i], "ONE") == 0) one = AddressOf("lib_converter_one");
    if (strcmp(kNames[i], "TWO") == 0) two = AddressOf("lib_converter_two");
    iconv_close(converter);
  }
  return one != 0 && one == two ? 0 : 77;
}
