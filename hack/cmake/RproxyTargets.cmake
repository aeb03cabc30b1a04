# How every target of the project is declared. Files are listed, never globbed; a dependency is
# PUBLIC only if its types appear in our headers.

set(RPROXY_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 warns wrongly: -Wrestrict of std::string operator+ (PR 105651), -Wmaybe-uninitialized of
    # std::optional and std::variant in optimised builds (PR 105562 and kin).
    list(APPEND RPROXY_WARNINGS -Wold-style-cast -Wno-restrict -Wno-maybe-uninitialized)
else()
    list(APPEND RPROXY_WARNINGS -Wold-style-cast -Wthread-safety)
endif()
if(RPROXY_WERROR)
    list(APPEND RPROXY_WARNINGS -Werror)
endif()

# Gives `target` the compile and link options that all our code shares.
function(rproxy_options target)
    target_compile_options(${target} PRIVATE ${RPROXY_WARNINGS})
    if(RPROXY_SANITIZE)
        target_compile_options(${target} PRIVATE -fsanitize=${RPROXY_SANITIZE} -fno-omit-frame-pointer
                               -fno-sanitize-recover=all)
        target_link_options(${target} PRIVATE -fsanitize=${RPROXY_SANITIZE})
    endif()
    if(CMAKE_BUILD_TYPE STREQUAL "Release")
        target_compile_options(${target} PRIVATE -g1)
    endif()
endfunction()

# rproxy_library(NAME LAYER n [PURE] HEADERS h… SOURCES c… [PUBLIC lib…] [PRIVATE lib…])
#
# Declares pkg/NAME as the static library rproxy_NAME. Our own dependencies are named by folder
# (base, http …), third-party ones by their imported target (Boost::headers …). Configuring fails
# when a library depends on one of a higher layer; tests/layers compares the includes with what is
# declared here. PURE: no sockets, logger, clock, threads or globals.
function(rproxy_library name)
    cmake_parse_arguments(ARG "PURE" "LAYER" "HEADERS;SOURCES;PUBLIC;PRIVATE" ${ARGN})
    if(ARG_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "rproxy_library(${name}): unknown arguments ${ARG_UNPARSED_ARGUMENTS}")
    endif()
    set(target rproxy_${name})
    add_library(${target} STATIC ${ARG_HEADERS} ${ARG_SOURCES})
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/pkg)
    rproxy_options(${target})
    set_property(TARGET ${target} PROPERTY RPROXY_LAYER ${ARG_LAYER})
    set(ours "")
    foreach(visibility PUBLIC PRIVATE)
        foreach(dependency ${ARG_${visibility}})
            if(TARGET rproxy_${dependency})
                get_target_property(layer rproxy_${dependency} RPROXY_LAYER)
                if(layer GREATER ARG_LAYER)
                    message(FATAL_ERROR "pkg/${name} (layer ${ARG_LAYER}) must not depend on "
                                        "pkg/${dependency} (layer ${layer})")
                endif()
                target_link_libraries(${target} ${visibility} rproxy_${dependency})
                list(APPEND ours ${dependency})
            else()
                target_link_libraries(${target} ${visibility} ${dependency})
            endif()
        endforeach()
    endforeach()
    string(REPLACE ";" "," ours "${ours}")
    set_property(GLOBAL APPEND_STRING PROPERTY RPROXY_LAYERS
                 "${name} ${ARG_LAYER} ${ARG_PURE} ${ours}\n")
endfunction()

# Writes what rproxy_library() declared, one "name layer pure deps" line each, for the layer test.
function(rproxy_write_layers)
    get_property(layers GLOBAL PROPERTY RPROXY_LAYERS)
    file(WRITE ${CMAKE_BINARY_DIR}/layers.txt "${layers}")
endfunction()

# rproxy_test(NAME SOURCES c… LIBRARIES lib… [ENVIRONMENT k=v…] [TIMEOUT s])
# One GoogleTest program, one ctest entry.
function(rproxy_test name)
    cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBRARIES;ENVIRONMENT" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    rproxy_options(${name})
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/pkg ${CMAKE_SOURCE_DIR}/tests)
    foreach(library ${ARG_LIBRARIES})
        if(TARGET rproxy_${library})
            target_link_libraries(${name} PRIVATE rproxy_${library})
        else()
            target_link_libraries(${name} PRIVATE ${library})
        endif()
    endforeach()
    target_link_libraries(${name} PRIVATE GTest::gtest_main GTest::gmock)
    add_test(NAME ${name} COMMAND ${name})
    if(NOT ARG_TIMEOUT)
        set(ARG_TIMEOUT 120)
    endif()
    set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT "${ARG_ENVIRONMENT}")
endfunction()
