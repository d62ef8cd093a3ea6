#include "cli/cli.h"

#include <locale.h>

int main(int argc, char **argv)
{
    /* Only for the width of characters in tables; numbers keep the C locale's point. */
    setlocale(LC_CTYPE, "C.UTF-8");
    return vz_cli_main(argc, argv);
}
