# What is handed on: Debian packages, by cpack -G DEB from the build folder, and the library of the
# Python wheel, which tools/package/wheel.py packs. docs/EMBEDDING.md tells how to make them.

# Who hands packages on gives an address that answers.
set(SLM_PACKAGE_CONTACT "The libslm authors <libslm@example.org>" CACHE STRING
    "Maintainer that packages name: NAME <ADDRESS>")
set(SLM_PACKAGE_RELEASE 1) # the Debian revision, as in changelog

set(CPACK_PACKAGE_NAME libslm)
set(CPACK_PACKAGE_CONTACT "${SLM_PACKAGE_CONTACT}")
set(CPACK_PACKAGE_VERSION "${PROJECT_VERSION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_GENERATOR DEB)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL library development tools)
if(TARGET voice_loop)
    list(APPEND CPACK_COMPONENTS_ALL voice)
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE "${SLM_PACKAGE_RELEASE}")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# One package for each component; the library's is named after its soname, so that two can be there.
set(SLM_LIBRARY_PACKAGE "libslm${SLM_SOVERSION}")
set(slm_described "This library runs small language models from GGUF files in the process of the
program that uses it, without a server.")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME "${SLM_LIBRARY_PACKAGE}")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "small language models in a C library
${slm_described} It is what programs need to run.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libslm-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${SLM_LIBRARY_PACKAGE} \
(= ${PROJECT_VERSION}-${SLM_PACKAGE_RELEASE}), libutf8proc-dev")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "small language models in a C library, for development
${slm_described}
These are the headers, the archive, and what pkg-config and CMake need.")

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME slm-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_TOOLS_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_TOOLS_DESCRIPTION "small language models on the command line
The program slm: chats, serves, measures, quantizes and fetches models.")

set(CPACK_DEBIAN_VOICE_PACKAGE_NAME slm-voice)
set(CPACK_DEBIAN_VOICE_PACKAGE_SECTION sound)
set(CPACK_DEBIAN_VOICE_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_VOICE_PACKAGE_DEPENDS "pocketsphinx-en-us, espeak-ng")
set(CPACK_DEBIAN_VOICE_DESCRIPTION "home that is spoken to, on the device
The program voice_loop: listens, answers by a small language model, acts,
and can be interrupted.
With a demonstration model and what is said in a household.")

# Where libraries of several machines have folders of their own, several may be installed.
if(CMAKE_LIBRARY_ARCHITECTURE AND CMAKE_INSTALL_LIBDIR MATCHES "${CMAKE_LIBRARY_ARCHITECTURE}")
    set(CPACK_DEBIAN_LIBRARY_PACKAGE_MULTIARCH same)
    set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_MULTIARCH same)
endif()

# Each package has its licence and its changes where Debian looks for them.
set(SLM_PACKAGE_DOC "${CMAKE_BINARY_DIR}/package")
file(STRINGS "${CMAKE_SOURCE_DIR}/LICENSE" lines)
set(SLM_COPYRIGHT_TEXT "")
foreach(line IN LISTS lines)
    if(line MATCHES "^Copyright ")
        string(REGEX REPLACE "^Copyright (\\(c\\) )?" "" SLM_COPYRIGHT_HOLDER "${line}")
    elseif(line STREQUAL "")
        string(APPEND SLM_COPYRIGHT_TEXT " .\n")
    elseif(NOT line MATCHES "^MIT License$")
        string(APPEND SLM_COPYRIGHT_TEXT " ${line}\n")
    endif()
endforeach()
string(REGEX REPLACE "^( \\.\n)+" "" SLM_COPYRIGHT_TEXT "${SLM_COPYRIGHT_TEXT}")
configure_file(tools/package/copyright.in "${SLM_PACKAGE_DOC}/copyright" @ONLY)
configure_file(tools/package/changelog.in "${SLM_PACKAGE_DOC}/changelog.Debian" @ONLY)
set(changes changelog.Debian)
find_program(SLM_GZIP gzip)
if(SLM_GZIP)
    execute_process(COMMAND "${SLM_GZIP}" -9nkf "${SLM_PACKAGE_DOC}/${changes}")
    string(APPEND changes .gz)
endif()
# The library comes or goes: dpkg has the dynamic linker told, by its trigger. CPack adds scripts for
# that where there are none; these reach the system that is installed into, also when it is not "/".
file(WRITE "${SLM_PACKAGE_DOC}/triggers" "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA "${SLM_PACKAGE_DOC}/triggers")
foreach(script postinst postrm)
    configure_file(tools/package/ldconfig.sh "${SLM_PACKAGE_DOC}/${script}" COPYONLY)
    list(APPEND CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA "${SLM_PACKAGE_DOC}/${script}")
endforeach()
foreach(component IN LISTS CPACK_COMPONENTS_ALL)
    string(TOUPPER "${component}" upper)
    set(name "${CPACK_DEBIAN_${upper}_PACKAGE_NAME}")
    foreach(file copyright ${changes})
        install(FILES "${SLM_PACKAGE_DOC}/${file}" COMPONENT ${component} EXCLUDE_FROM_ALL
            DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/${name}")
    endforeach()
endforeach()
# The manual pages of the programs, for every installation.
foreach(program slm slm-pull slm-wyoming)
    if(program STREQUAL slm OR TARGET ${program})
        set(page "${program}.1")
        configure_file("docs/man/${page}" "${SLM_PACKAGE_DOC}/${page}" COPYONLY)
        if(SLM_GZIP)
            execute_process(COMMAND "${SLM_GZIP}" -9nkf "${SLM_PACKAGE_DOC}/${page}")
            string(APPEND page .gz)
        endif()
        install(FILES "${SLM_PACKAGE_DOC}/${page}" COMPONENT tools
            DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
    endif()
endforeach()
include(CPack)

# The library as it lies in a wheel: it finds what is packed beside it there.
if(NOT SLM_SANITIZE AND NOT SLM_FUZZ AND NOT CMAKE_CROSSCOMPILING)
    add_library(slm_wheel SHARED ${SLM_OBJECTS})
    foreach(property LINK_LIBRARIES LINK_OPTIONS LINK_DEPENDS LINKER_LANGUAGE SOVERSION)
        get_target_property(value slm_shared ${property})
        set_target_properties(slm_wheel PROPERTIES ${property} "${value}")
    endforeach()
    set_target_properties(slm_wheel PROPERTIES OUTPUT_NAME slm
        LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/wheel" BUILD_WITH_INSTALL_RPATH ON
        INSTALL_RPATH "\$ORIGIN")
    # DT_RPATH, which holds for what the libraries beside it need, too.
    target_link_options(slm_wheel PRIVATE -Wl,--disable-new-dtags -Wl,-s)
    if(NOT BUILD_TESTING)
        set_target_properties(slm_wheel PROPERTIES EXCLUDE_FROM_ALL ON)
    endif()
endif()
