# One call shape for everything we build:
#   allocline_library(NAME SRCS a.cc b.cc [DEPS x y])      -> libNAME.a, alias allocline::NAME
#   allocline_test(NAME SRCS a_test.cc [DEPS x y] [LABELS ...] [TIMEOUT s])   every TEST() becomes a ctest of its own
#   allocline_bench(NAME SRCS a_bench.cc [DEPS x y])
function(allocline_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SRCS})
  add_library(allocline::${name} ALIAS ${name})
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_compile_options(${name} PRIVATE ${ALLOCLINE_SANITIZE_FLAGS})
  target_link_options(${name} PUBLIC $<BUILD_INTERFACE:${ALLOCLINE_SANITIZE_FLAGS}>)
  target_link_libraries(${name} PUBLIC ${ARG_DEPS})
endfunction()

function(allocline_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SRCS;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE ${ALLOCLINE_SANITIZE_FLAGS})
  target_link_options(${name} PRIVATE ${ALLOCLINE_SANITIZE_FLAGS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  include(GoogleTest)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST
    PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
               ENVIRONMENT "ALLOCLINE_BUILD_DIR=${CMAKE_BINARY_DIR};ALLOCLINE_SOURCE_DIR=${PROJECT_SOURCE_DIR}")
endfunction()

function(allocline_bench name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} benchmark::benchmark)
endfunction()
