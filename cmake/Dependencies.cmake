# Every library we use, and the Debian package that brings it (./dev installs them).
find_package(PkgConfig REQUIRED)                       # pkg-config
find_package(Threads REQUIRED)
find_package(absl REQUIRED)                            # libabsl-dev
find_package(fmt REQUIRED)                             # libfmt-dev
find_package(CLI11 REQUIRED)                           # libcli11-dev
find_package(nlohmann_json REQUIRED)                   # nlohmann-json3-dev
pkg_check_modules(libdw REQUIRED IMPORTED_TARGET libdw libelf)  # libdw-dev
pkg_check_modules(libdeflate REQUIRED IMPORTED_TARGET libdeflate)  # libdeflate-dev
find_path(TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h REQUIRED)  # libtomlplusplus-dev (headers only)
find_path(LIBUNWIND_INCLUDE_DIR libunwind.h REQUIRED)  # libunwind-dev (opened by dlopen, never linked)
if(ALLOCLINE_TESTS)
  find_package(GTest REQUIRED)                         # libgtest-dev libgmock-dev
endif()
if(ALLOCLINE_BENCH)
  find_package(benchmark REQUIRED)                     # libbenchmark-dev
endif()
if(ALLOCLINE_EXAMPLES)
  find_package(SQLite3 REQUIRED)                       # libsqlite3-dev
  # Some of examples/causes/ are left out without these.
  pkg_check_modules(libpq IMPORTED_TARGET libpq libcrypto)  # libpq-dev
  find_library(LIBCSV csv)                             # libcsv-dev
endif()
