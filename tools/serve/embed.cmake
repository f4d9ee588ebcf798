# Writes a file as an array of C: cmake -DIN=page.html -DOUT=page.c -P embed.cmake
file(READ "${IN}" hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(................................................................................)"
    "\\1\n" bytes "${bytes}")
file(WRITE "${OUT}" "#include \"page.h\"\n\nconst unsigned char serve_page_html[] = {\n${bytes}};\n"
    "const size_t serve_page_html_len = sizeof serve_page_html;\n")
