// Loads and unloads code without a word of dlopen of its own: character sets (iconv), name services; and by dlopen
// libraries that allocate when they are loaded, used and unloaded.
#include <dlfcn.h>
#include <grp.h>
#include <iconv.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>

int main() {
  const char* const character_sets[] = {"ISO-8859-7", "EUC-JP", "SHIFT_JIS", "KOI8-R", "UTF-16", "GB18030", "CP1252"};
  long converted = 0;
  for (int i = 0; i < 350; ++i) {
    iconv_t conversion = iconv_open("UTF-8", character_sets[i % 7]);
    if (conversion == reinterpret_cast<iconv_t>(-1)) return 1;
    char text[] = "hello", buffer[64], *in = text, *out = buffer;
    size_t in_left = 5, out_left = sizeof buffer;
    iconv(conversion, &in, &in_left, &out, &out_left);
    converted += static_cast<long>(sizeof buffer - out_left);
    iconv_close(conversion);
  }
  int names = 0;
  for (int i = 0; i < 20; ++i) {
    addrinfo* found = nullptr;
    if (getaddrinfo("127.0.0.1", "80", nullptr, &found) == 0) ++names, freeaddrinfo(found);
    names += getpwnam(i % 2 == 0 ? "root" : "nobody") != nullptr;
    names += getgrnam("daemon") != nullptr;
  }
  int loaded = 0;
  for (int i = 0; i < 200; ++i) {
    const char* const libraries[] = {"libsqlite3.so.0", "libstdc++.so.6", "libz.so.1", "liblzma.so.5"};
    void* library = dlopen(libraries[i % 4], RTLD_NOW | (i % 8 < 4 ? RTLD_LOCAL : RTLD_GLOBAL));
    if (library == nullptr) continue;
    ++loaded;
    if (i % 4 == 0) {
      auto open = reinterpret_cast<int (*)(const char*, void**)>(dlsym(library, "sqlite3_open"));
      auto exec = reinterpret_cast<int (*)(void*, const char*, void*, void*, void*)>(dlsym(library, "sqlite3_exec"));
      auto close = reinterpret_cast<int (*)(void*)>(dlsym(library, "sqlite3_close"));
      auto shutdown = reinterpret_cast<int (*)()>(dlsym(library, "sqlite3_shutdown"));
      void* database = nullptr;
      if (open(":memory:", &database) != 0) return 1;
      exec(database, "create table t(a); insert into t values(1), (2)", nullptr, nullptr, nullptr);
      close(database);
      shutdown();
    }
    dlclose(library);
  }
  printf("%ld %d %s\n", converted, names, loaded >= 100 ? "loaded" : "not loaded");
}
