# install.cmake - what `cmake --install` puts where (the GNU directories), and what CPack packs.
#
#   bin/perfgate   libexec/perfgate/perfgate-helper   lib/perfgate: libperfgate-{agent,sampler,locks,probe,blank}.so
#   share/perfgate: JSON Schemas   share/doc/perfgate: README, licence, CI parts to copy
#
# The program finds them relative to itself, so an installation may be moved or unpacked anywhere. Helper and libraries
# are installed by their own folders. Included by the top-level CMakeLists.txt after all of them.

file(RELATIVE_PATH pg_libexec_from_bin ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBEXECDIR}/perfgate)
file(RELATIVE_PATH pg_lib_from_bin ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR}/perfgate)
target_compile_definitions(pg_measure PRIVATE PG_LIBEXEC_FROM_BIN="${pg_libexec_from_bin}"
                           PG_LIBDIR_FROM_BIN="${pg_lib_from_bin}")

install(TARGETS perfgate RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
file(GLOB pg_schemas CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/ci/schema/*.schema.json)
install(FILES ${pg_schemas} DESTINATION ${CMAKE_INSTALL_DATADIR}/perfgate)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(DIRECTORY ci/github/workflows DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(PROGRAMS ci/hooks/pre-push DESTINATION ${CMAKE_INSTALL_DOCDIR}/hooks)

set(CPACK_GENERATOR TGZ DEB)
set(CPACK_PACKAGE_CONTACT "The perfgate authors <perfgate@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_PACKAGE_FILE_NAME perfgate-${PROJECT_VERSION}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS OFF) # the agent is no library to link with
include(CPack)
