# Every tests/<dir>/test_*.c is one program and one CTest test labelled <dir>; other C files of the
# folder are linked to each of its programs, and tests/support/*.c to all. tests/check_kernels is a
# single program. Every tests/<dir>/test_*.py and test_*.sh is a test as it is. A test that exits
# with 77 is skipped.

set(SLM_TEST_ENV "SLM_BIN=${CMAKE_BINARY_DIR}/bin/slm" "SLM_SOURCE_DIR=${CMAKE_SOURCE_DIR}"
    "SLM_BINARY_DIR=${CMAKE_BINARY_DIR}" "SLM_SHARED_DIR=${SLM_SHARED_DIR}"
    "SLM_CC=${CMAKE_C_COMPILER}" "SLM_SANITIZE=${SLM_SANITIZE}" "CMAKE=${CMAKE_COMMAND}"
    OMP_WAIT_POLICY=PASSIVE) # several tests share the cores: threads that spin would hold them up

# What a program under test is linked with. Tests may use POSIX and the language of the compiler.
set(CMAKE_C_EXTENSIONS ON)
add_library(slm_test_base INTERFACE)
target_link_libraries(slm_test_base INTERFACE slm_internal)
target_include_directories(slm_test_base INTERFACE tests)
target_compile_definitions(slm_test_base INTERFACE SLM_SHARED_DIR="${SLM_SHARED_DIR}"
    SLM_SOURCE_DIR="${CMAKE_SOURCE_DIR}" SLM_BINARY_DIR="${CMAKE_BINARY_DIR}")
if(CMAKE_CROSSCOMPILING) # an emulator is slow: tests leave out what does not depend on the processor
    target_compile_definitions(slm_test_base INTERFACE SLM_EMULATED SLM_SLOW)
elseif(SLM_SANITIZE) # as slow: tests take turns where more would run the same code on other numbers
    target_compile_definitions(slm_test_base INTERFACE SLM_SLOW)
endif()
# gcc 12 for 64-bit Arm ends with an internal error where it vectorizes loops over fmax, which tests
# write and the library does not.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_C_COMPILER_VERSION VERSION_LESS 13
        AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    target_compile_options(slm_test_base INTERFACE -fno-tree-vectorize)
endif()
file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/support/*.c")
if(sources)
    add_library(test_support STATIC ${sources})
    target_link_libraries(test_support PRIVATE slm_test_base)
    target_link_libraries(slm_test_base INTERFACE test_support)
endif()

# A cross-built program that scripts can run like a native one.
if(CMAKE_CROSSCOMPILING AND CMAKE_CROSSCOMPILING_EMULATOR)
    string(REPLACE ";" " " emulator "${CMAKE_CROSSCOMPILING_EMULATOR}")
    file(WRITE "${CMAKE_BINARY_DIR}/slm-emulated"
        "#!/bin/sh\nexec ${emulator} ${CMAKE_BINARY_DIR}/bin/slm \"$@\"\n")
    file(CHMOD "${CMAKE_BINARY_DIR}/slm-emulated" PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
    list(TRANSFORM SLM_TEST_ENV REPLACE "^SLM_BIN=.*" "SLM_BIN=${CMAKE_BINARY_DIR}/slm-emulated")
endif()

# What hangs ends some day; how long a test takes is no matter of being right.
set(SLM_TEST_TIMEOUT 900)
if(CMAKE_CROSSCOMPILING OR SLM_SANITIZE)
    set(SLM_TEST_TIMEOUT 2400)
endif()

function(slm_add_test name label)
    add_test(NAME ${name} COMMAND ${ARGN})
    set_tests_properties(${name} PROPERTIES LABELS ${label} SKIP_RETURN_CODE 77
        ENVIRONMENT "${SLM_TEST_ENV}" TIMEOUT ${SLM_TEST_TIMEOUT})
endfunction()

if(BUILD_TESTING)
    find_package(Python3 REQUIRED COMPONENTS Interpreter)
    if(NOT PkgConfig_FOUND)
        message(FATAL_ERROR "BUILD_TESTING is ON, but pkg-config was not found")
    endif()
    pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
    pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
    add_library(slm_test_libraries INTERFACE)
    target_link_libraries(slm_test_libraries INTERFACE
        slm_test_base PkgConfig::CMOCKA PkgConfig::JANSSON)

    # tests_<dir> builds the programs of one folder, and the program that scripts run.
    foreach(dir unit model api cli)
        add_custom_target(tests_${dir} DEPENDS slm_program)
        file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/${dir}/*.c")
        set(helpers ${sources})
        list(FILTER sources INCLUDE REGEX "/test_[^/]*\\.c$")
        list(FILTER helpers EXCLUDE REGEX "/test_[^/]*\\.c$")
        foreach(source IN LISTS sources)
            get_filename_component(name "${source}" NAME_WE)
            string(REGEX REPLACE "^test_" "" name "${name}")
            set(target test_${dir}_${name})
            add_executable(${target} "${source}" ${helpers})
            target_link_libraries(${target} PRIVATE slm_test_libraries)
            set_target_properties(${target} PROPERTIES
                RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
            slm_add_test(${dir}/${name} ${dir} ${target})
            add_dependencies(tests_${dir} ${target})
        endforeach()
    endforeach()

    file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/check_kernels/*.c")
    if(sources)
        add_executable(check_kernels ${sources} "${CMAKE_SOURCE_DIR}/tools/pull/sha256.c")
        target_include_directories(check_kernels PRIVATE "${CMAKE_SOURCE_DIR}/tools")
        target_link_libraries(check_kernels PRIVATE slm_test_libraries)
        slm_add_test(check_kernels check_kernels check_kernels)
    endif()

    # The house and the consumer look at a native build, the consumer at one without sanitizers.
    set(dirs unit check_kernels model api cli)
    if(NOT CMAKE_CROSSCOMPILING)
        list(APPEND dirs house serve)
        if(NOT SLM_SANITIZE)
            list(APPEND dirs consumer packages)
        endif()
    endif()
    foreach(dir IN LISTS dirs)
        file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/${dir}/test_*.py"
            "${CMAKE_SOURCE_DIR}/tests/${dir}/test_*.sh")
        foreach(source IN LISTS sources)
            get_filename_component(name "${source}" NAME)
            string(REGEX REPLACE "^test_" "" name "${name}")
            if(name MATCHES "\\.py$")
                slm_add_test(${dir}/${name} ${dir} Python3::Interpreter -B "${source}")
            else()
                slm_add_test(${dir}/${name} ${dir} sh "${source}")
            endif()
        endforeach()
    endforeach()

    if(SERVE_FOUND)
        add_executable(test_serve_engine "${CMAKE_SOURCE_DIR}/tests/serve/test_engine.c")
        target_link_libraries(test_serve_engine PRIVATE slm_test_libraries slm_commands)
        set_target_properties(test_serve_engine PROPERTIES
            RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
        slm_add_test(serve/engine serve test_serve_engine)
    endif()

    # Sequences of edits drawn at random: the first part of them is a test like the others.
    foreach(part 1 2 3 4)
        slm_add_test(api/chat_edits_${part} api test_api_chat_edits ${part})
    endforeach()

    # A processor without AVX: whatever it does not have must not be used.
    find_program(SLM_QEMU_X86_64 qemu-x86_64)
    if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64" AND SLM_QEMU_X86_64 AND NOT SLM_SANITIZE)
        slm_add_test(model/old_processor model "${SLM_QEMU_X86_64}" -cpu Westmere
            $<TARGET_FILE:test_model_stories>)
    endif()

    # The bindings load the shared library into an interpreter, which has no sanitizer.
    if(NOT CMAKE_CROSSCOMPILING AND NOT SLM_SANITIZE)
        list(APPEND SLM_TEST_ENV "SLM_LIBRARY=$<TARGET_FILE:slm_shared>")
        slm_add_test(ffi/python ffi Python3::Interpreter -B
            "${CMAKE_SOURCE_DIR}/examples/ffi/python/test_slm.py")
        slm_add_test(ffi/python_aio ffi Python3::Interpreter -B
            "${CMAKE_SOURCE_DIR}/examples/ffi/python/test_aio.py")
        find_program(SLM_LUAJIT luajit)
        if(SLM_LUAJIT)
            slm_add_test(ffi/lua ffi "${SLM_LUAJIT}" "${CMAKE_SOURCE_DIR}/examples/ffi/lua/test_slm.lua")
        else()
            message(STATUS "ffi/lua is left out: there is no luajit")
        endif()
    endif()
endif()

# Fuzz targets: tests/fuzz/fuzz_*.c with LLVMFuzzerTestOneInput; other C files there are shared.
if(SLM_FUZZ)
    file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/fuzz/*.c")
    set(helpers ${sources})
    list(FILTER sources INCLUDE REGEX "/fuzz_[^/]*\\.c$")
    list(FILTER helpers EXCLUDE REGEX "/fuzz_[^/]*\\.c$")
    add_custom_target(tests_fuzz)
    foreach(source IN LISTS sources)
        get_filename_component(name "${source}" NAME_WE)
        add_executable(${name} "${source}" ${helpers})
        target_link_libraries(${name} PRIVATE slm_test_base)
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
        add_dependencies(tests_fuzz ${name})
    endforeach()
endif()
