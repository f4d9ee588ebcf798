# cmake --install: the header, both libraries, the programs, libslm.pc and the CMake package. All of
# it may be moved to another prefix.

set(SLM_PACKAGE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/libslm")

install(FILES include/slm.h include/slm_chat.h include/slm_batch.h
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(TARGETS slm_shared EXPORT libslm_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    COMPONENT library NAMELINK_COMPONENT development)
install(TARGETS slm_static EXPORT libslm_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    COMPONENT development)
install(EXPORT libslm_shared NAMESPACE libslm:: DESTINATION ${SLM_PACKAGE_DIR}
    COMPONENT development)
install(EXPORT libslm_static NAMESPACE libslm:: DESTINATION ${SLM_PACKAGE_DIR}
    COMPONENT development)
install(TARGETS slm_program slm-pull RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
if(TARGET slm-wyoming)
    install(TARGETS slm-wyoming RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools
        OPTIONAL) # who builds only the library and slm installs those
endif()
install(FILES tools/catalogue.txt DESTINATION ${CMAKE_INSTALL_DATADIR}/slm COMPONENT tools)

configure_package_config_file(libslm/libslmConfig.cmake.in "${CMAKE_BINARY_DIR}/libslmConfig.cmake"
    INSTALL_DESTINATION ${SLM_PACKAGE_DIR} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a new minor version may change the interface.
write_basic_package_version_file("${CMAKE_BINARY_DIR}/libslmConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/libslmConfig.cmake"
    "${CMAKE_BINARY_DIR}/libslmConfigVersion.cmake" DESTINATION ${SLM_PACKAGE_DIR}
    COMPONENT development)

file(RELATIVE_PATH SLM_PC_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" SLM_PC_PREFIX "${SLM_PC_PREFIX}")
string(REPLACE ";" " " SLM_PC_OPENMP "${SLM_OPENMP_LINK}")
set(SLM_PC_CUDA "")
if(SLM_CUDA_LINK)
    string(REPLACE ";" " " SLM_PC_CUDA ";${SLM_CUDA_LINK}")
endif()
configure_file(libslm/libslm.pc.in "${CMAKE_BINARY_DIR}/libslm.pc" @ONLY)
install(FILES "${CMAKE_BINARY_DIR}/libslm.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
    COMPONENT development)

include("${CMAKE_SOURCE_DIR}/tools/package/package.cmake")
