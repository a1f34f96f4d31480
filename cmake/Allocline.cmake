# One call shape for everything we build:
#   allocline_library(NAME SRCS a.cc b.cc [DEPS x y])      -> liballocline_NAME.a, alias allocline::NAME
#   allocline_test(NAME SRCS a_test.cc [DEPS x y] [LABELS ...] [TIMEOUT s] [SERIAL] [OPTIMIZED])   every TEST() becomes a ctest of its own
#       (SERIAL: never beside another one, for what measures time; OPTIMIZED: inline code is what it tests)
#   allocline_bench(NAME SRCS a_bench.cc [DEPS x y])   the target `benchmarks` builds all of them
#
# A test has one or more labels, and each label LABEL a target LABEL_tests that builds all tests carrying it:
#   unit        (the default) parts by themselves: run again under the address sanitizer
#   concurrent  many threads on one part: run again under the thread sanitizer
#   statistics  many random numbers through a small part, which sanitizers slow down and see nothing new in
#   e2e         whole programs under the tracer: only in the release build
# Tests of two kinds in one binary take both labels: LABELS unit concurrent.
foreach(label unit concurrent statistics e2e)
  add_custom_target(${label}_tests)
endforeach()

function(allocline_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SRCS})
  add_library(allocline::${name} ALIAS ${name})
  if(ALLOCLINE_UNITY AND NOT name MATCHES "^tracer")  # the tracer is compiled as it is in the library that is preloaded
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 20)
  endif()
  if(ALLOCLINE_SANITIZE AND name MATCHES "^(cli|report)$")  # most of the code, and none that a test waits for
    target_compile_options(${name} PRIVATE -O0)
  endif()
  # Four of them are installed (Install.cmake): there a file name says whose library it is.
  set_target_properties(${name} PROPERTIES OUTPUT_NAME allocline_${name})
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/allocline/offline>)
  target_compile_options(${name} PRIVATE ${ALLOCLINE_SANITIZE_FLAGS})
  target_link_options(${name} PUBLIC $<BUILD_INTERFACE:${ALLOCLINE_SANITIZE_FLAGS}>)
  target_link_libraries(${name} PUBLIC ${ARG_DEPS})
endfunction()

# What every test includes, compiled once. Its options must be those of the tests.
if(ALLOCLINE_TESTS)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/test_prelude.cc CONTENT "int main() {}\n")
  add_executable(test_prelude EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/test_prelude.cc)
  target_precompile_headers(test_prelude PRIVATE <gmock/gmock.h> <gtest/gtest.h> <absl/status/statusor.h>)
  target_compile_options(test_prelude PRIVATE -O0 -g1 ${ALLOCLINE_SANITIZE_FLAGS})
  target_link_options(test_prelude PRIVATE ${ALLOCLINE_SANITIZE_FLAGS})
  target_link_libraries(test_prelude PRIVATE GTest::gmock GTest::gtest_main)
endif()

find_program(ALLOCLINE_LLD ld.lld)  # a test links in a third of the time
mark_as_advanced(ALLOCLINE_LLD)
function(allocline_test name)
  cmake_parse_arguments(ARG "SERIAL;OPTIMIZED" "TIMEOUT" "SRCS;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  if(NOT ARG_OPTIMIZED)
    # A quarter of the time to compile them; what is tested is optimized all the same, unless it is inline.
    target_compile_options(${name} PRIVATE -O0 -g1)
    target_precompile_headers(${name} REUSE_FROM test_prelude)
  endif()
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE ${ALLOCLINE_SANITIZE_FLAGS})
  target_link_options(${name} PRIVATE ${ALLOCLINE_SANITIZE_FLAGS} $<$<BOOL:${ALLOCLINE_LLD}>:-fuse-ld=lld>)
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  foreach(label ${ARG_LABELS})
    add_dependencies(${label}_tests ${name})
  endforeach()
  include(GoogleTest)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${ARG_TIMEOUT} RUN_SERIAL ${ARG_SERIAL})
  # PROPERTIES above cannot carry a list; the tests' names are known to files included after theirs.
  set(properties ${CMAKE_CURRENT_BINARY_DIR}/${name}_properties.cmake)
  file(WRITE ${properties} "
if(${name}_TESTS)
  set_tests_properties(\${${name}_TESTS} PROPERTIES LABELS \"${ARG_LABELS}\"
    ENVIRONMENT \"ALLOCLINE_BUILD_DIR=${CMAKE_BINARY_DIR};ALLOCLINE_SOURCE_DIR=${PROJECT_SOURCE_DIR}\")
endif()
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${properties})
endfunction()

add_custom_target(benchmarks)
function(allocline_bench name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} benchmark::benchmark)
  add_dependencies(benchmarks ${name})
endfunction()
