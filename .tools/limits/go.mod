module statuscache/tools/limits

go 1.26.7
