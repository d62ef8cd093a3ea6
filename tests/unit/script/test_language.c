/* What scripts compute: Java's arithmetic, Painless's rules. */
#include "support.h"

static void test_arithmetic(void **state)
{
    expect("1 + 2 * 3", "7");
    expect("(1 + 2) * 3", "9");
    expect("7 / 2", "3");
    expect("-7 / 2", "-3");
    expect("-7 % 3", "-1");
    expect("7 / 2.0", "3.5");
    expect("7 / 2.0f", "3.5");
    expect("0.1 + 0.2", "0.30000000000000004");
    expect("0.1f + 0.2f", "0.30000001192092896"); /* kept as a double */
    expect("2147483647 + 1", "-2147483648");
    expect("2147483647 + 1L", "2147483648");
    expect("-2147483648", "-2147483648");
    expect("-2147483648 / -1", "-2147483648");
    expect("9223372036854775807L + 1", "-9223372036854775808");
    expect("-9223372036854775808L", "-9223372036854775808");
    expect("-9223372036854775808L / -1L", "-9223372036854775808");
    expect("-9223372036854775808L % -1L", "0");
    expect("65536 * 65536", "0");
    expect("65536L * 65536", "4294967296");
    expect("0x10 + 010", "24");
    expect("0xFFFFFFFF", "-1");
    expect("1e3", "1000.0");
    expect("1.0 / 0", "null"); /* infinity has no JSON */
    expect("5 % 0.75", "0.5");
    expect("1 << 33", "2");
    expect("1L << 33", "8589934592");
    expect("-1 >>> 28", "15");
    expect("-1 >> 28", "-1");
    expect("-1L >>> 60", "15");
    expect("6 & 3 | 8 ^ 1", "11");
    expect("~5", "-6");
    expect("- - 3", "3");
    expect("1 - -1", "2");
    expect("1 - 2 - 3", "-4");
    expect("2 * 3 % 4", "2");
    expect("true & false", "false");
    expect("true ^ true", "false");
    expect("1 / 0", "runtime error: / by zero: arithmetic_exception");
    expect("1 % 0", "runtime error: / by zero: arithmetic_exception");
    expect("1 + true", "compile error: Cannot apply [+] operation to types [int] and [boolean].");
    expect("null + 1", "runtime error: Cannot apply [+] operation to types [null] and "
                       "[java.lang.Integer].: class_cast_exception");
}

static void test_text_and_equality(void **state)
{
    expect("'a' + 1 + 2", "\"a12\"");
    expect("1 + 2 + 'a'", "\"3a\"");
    expect("'a' + null + 1.0 + true + 2L", "\"anull1.0true2\"");
    expect("\"it's\" + 'q\"' + 'a\\'b\\\\'", "\"it'sq\\\"a'b\\\\\"");
    expect("1 == 1.0", "true");
    expect("1L == 1", "true");
    expect("'a' == 'a'", "true");
    expect("'a' == 1", "false");
    expect("null == null", "true");
    expect("'a' != null", "true");
    expect("[1, 2] == [1, 2]", "true");
    expect("[1, 2] === [1, 2]", "false");
    expect("1 === 1.0", "true");
    expect("1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3", "true");
    expect("1 < 'a'", "compile error: Cannot apply [<] operation to types [int] and [String].");
    expect("Double.NaN == Double.NaN", "false");
    expect("Double.NaN < 1", "false");
    expect("!(1 > 2)", "true");
    expect("!1", "compile error: Cannot apply [!] operation to type [int].");
    expect("false && 1 / 0 == 1", "false");
    expect("true || 1 / 0 == 1", "true");
    expect("1 > 2 ? 'a' : 'b'", "\"b\"");
    expect("true ? 1 : 2.5", "1.0");
    expect("1 > 2 ? 1 : 2 > 1 ? 3 : 4", "3");
    expect("1 ? 2 : 3", "compile error: Cannot cast from [int] to [boolean].");
    expect("null ?: 5", "5");
    expect("params.none ?: params.a", "7");
}

static void test_params_doc_score(void **state)
{
    expect("params.a + params['f']", "9.5");
    expect("params.m.k * 2", "18");
    expect("params.l[1]", "2");
    expect("params.l.2", "3");
    expect("params.l.size() + params.l.length", "6");
    expect("params.missing", "null");
    expect("params.missing.x", "runtime error: cannot access method/field [x] from a null def "
                               "reference: null_pointer_exception");
    expect("params.missing?.x", "null");
    expect("params.containsKey('a') && !params.containsKey('b')", "true");
    expect("params.big", "5000000000");
    expect("params.a / 2", "3");
    expect("params.a = 3",
           "runtime error: params cannot be changed: unsupported_operation_exception");
    expect("params.l.add(3)",
           "runtime error: params cannot be changed: unsupported_operation_exception");
    expect("def x = [params.l]; x[0].add(9); return x[0].size() + params.l.size()", "7");
    expect("_score * 2", "3.0");
    expect("doc['price'].value", "12");
    expect("doc.price.value + doc['rating'].value", "16.5");
    expect("doc['price'].size()", "2");
    expect("doc['price'].length", "2");
    expect("doc['price'][1]", "30");
    expect("doc['price'].get(1)", "30");
    expect("doc['price'].values", "[12,30]");
    expect("doc['price']", "[12,30]");
    expect("doc['price'].contains(30L)", "true");
    expect("doc['empty'].size() == 0 ? 5 : doc['empty'].value", "5");
    expect("doc['empty'].empty", "true");
    expect("doc['empty'].value",
           "runtime error: A document doesn't have a value for a field! Use "
           "doc[<field>].size()==0 to check if a document is missing a field!: "
           "illegal_state_exception");
    expect("doc['nix'].value",
           "runtime error: No field found for [nix] in mapping: illegal_argument_exception");
    expect("doc.containsKey('nix') || !doc.containsKey('price')", "false");
    expect("String n = 'pri'; doc[n + 'ce'].value", "12");
    expect("doc['tag'].value", "\"caf\xc3\xa9\"");
    expect("doc['tag'].value.length()", "4");
    expect("doc['in_stock'].value ? 1 : 0", "1");
    expect("doc['where'].lat + doc['where'].value.lon", "65.9");
    expect("Math.round(doc['where'].arcDistance(48.1, 11.6))", "505644");
    expect("field('price').get(0)", "12");
    expect("field('nix').get(4)", "4");
    expect("$('empty', -1)", "-1");
    expect("$('rating', 1.0)", "4.5");
    expect("doc['v'].vectorValue", "[3.0,4.0]");
    expect("doc['v'].magnitude", "5.0");
    expect("state.n + state.l[0]", "6");
    expect("twice(4) + twice([1.0, 2.0])", "12.0");
    expect("twice(doc['price'].value)", "24.0");
    expect("twice('a')", "runtime error: twice wants a number: illegal_argument_exception");
    expect("twice()", "compile error: Unknown call [twice] with [0] arguments.");
    expect("thrice(1)", "compile error: Unknown call [thrice] with [1] arguments.");
}

static void test_math(void **state)
{
    expect("Math.max(1, 2L)", "2");
    expect("Math.max(1, 2.5)", "2.5");
    expect("Math.min(-1, -3)", "-3");
    expect("Math.abs(-5) + Math.abs(-5.5)", "10.5");
    expect("Math.pow(2, 10)", "1024.0");
    expect("Math.sqrt(2)", "1.4142135623730951");
    expect("Math.log(Math.E)", "1.0");
    expect("Math.log10(1000)", "3.0");
    expect("Math.round(2.5) + Math.round(-2.5)", "1");
    expect("Math.round(0.49999999999999994)", "0");
    expect("Math.floor(-1.5)", "-2.0");
    expect("Math.ceil(1.2)", "2.0");
    expect("Math.floorMod(-7, 3)", "2");
    expect("Math.floorDiv(-7, 2)", "-4");
    expect("Math.signum(-2)", "-1.0");
    expect("Math.hypot(3, 4)", "5.0");
    expect("Math.PI", "3.141592653589793");
    expect("Integer.MAX_VALUE + 1", "-2147483648");
    expect("Integer.parseInt('42') + Long.parseLong('-1')", "41");
    expect("Integer.parseInt('4x')",
           "runtime error: For input string: \"4x\": number_format_exception");
    expect("Double.parseDouble(' 1.5e2 ')", "150.0");
    expect("Math.nothing(1)", "compile error: static method [Math, nothing/1] not found");
    expect("(int) 3.99", "3");
    expect("(int) -3.99", "-3");
    expect("(long) 1e30", "9223372036854775807");
    expect("(int) Double.NaN", "0");
    expect("(byte) 200", "-56");
    expect("(char) 65", "\"A\"");
    expect("(int) 'A'.charAt(0)", "65");
    expect("(double) 1 / 2", "0.5");
    expect("(float) 0.1 == 0.1", "false");
    expect("(String) 'a'", "\"a\"");
    expect("(int) 'a'", "runtime error: Cannot cast from [java.lang.String] to [int].: "
                        "class_cast_exception");
}

static void test_statements(void **state)
{
    expect("int x = 3; x += 2; x *= 2; return x", "10");
    expect("int x = 5; x += 1.7; return x", "6");
    expect("int x = 2147483647; x++; return x", "-2147483648");
    expect("long x = 2147483647; x++; return x", "2147483648");
    expect("int x = 1.5;", "compile error: Cannot cast from [double] to [int].");
    expect("int x = params.f;", "runtime error: Cannot cast from [java.lang.Double] to [int].: "
                                "class_cast_exception");
    expect("double x = 1; return x", "1.0");
    expect("int x; double y; def z; String s; return '' + x + y + z + s", "\"00.0nullnull\"");
    expect("int a = 1, b = 2; return a + b", "3");
    expect("def x = 1; return x++ + ++x", "4");
    expect("int x = 1; int y = x++ + ++x; return y * 10 + x", "43");
    expect("if (1 > 2) { return 1 } else if (2 > 3) return 2; else { return 3 }", "3");
    expect("int s = 0; for (int i = 0; i < 10; i++) { if (i == 3) continue; if (i == 6) break; "
           "s += i } return s",
           "12");
    expect("int s = 0; for (def x : [1, 2, 3]) s += x; return s", "6");
    expect("int s = 0; for (x in params.l) { s += x } s", "6");
    expect("long s = 0; for (p in doc['price']) s += p; s", "42");
    expect("int i = 0; while (i < 5) i++; return i", "5");
    expect("int i = 0; do { i += 2 } while (i < 5); return i", "6");
    expect("for (;;) { return 4 }", "4");
    expect("int x = 1; { int y = 2; x += y } return x", "3");
    expect("{ int y = 2; } return y", "compile error: cannot resolve symbol [y]");
    expect("int x = 1; int x = 2;", "compile error: variable [x] already defined");
    expect("x = 1", "compile error: cannot resolve symbol [x]");
    expect("break;", "compile error: break statement outside of a loop");
    expect("def l = []; for (int i = 0; i < 3; ++i) { for (int j = 0; j < 2; ++j) { if (j == 1) "
           "continue; l.add(i * 10 + j) } } l",
           "[0,10,20]");
    expect("throw new IllegalArgumentException('no')",
           "runtime error: no: illegal_argument_exception");
    expect("", "null");
    expect("// nothing\n/* at all */", "null");
    expect("return", "null");
    expect("int x = 1;", "null");
    expect("1; 2", "compile error: not a statement: the result of the expression is not used");
    expect("def x = 5; if (x instanceof Integer && !(x instanceof String)) return 1; return 0",
           "1");
}

static void test_containers(void **state)
{
    expect("def l = [3, 1, 2]; l.add(4); l[0] = 9; l[-1] = 5; l", "[9,1,2,5]");
    expect("def l = new ArrayList(); l.add('a'); l.add(0, 'b'); l", "[\"b\",\"a\"]");
    expect("def l = [1, 2, 3]; l.remove(0); l.remove(3L) ? 1 : l.size()", "2");
    expect("[1, 2, 3].contains(2) && [1, 2].indexOf(3) == -1", "true");
    expect("[5, 3, 9].sum()", "17.0");
    expect("['a', 'b'].join('-')", "\"a-b\"");
    expect("String.join('+', ['a', 'b'])", "\"a+b\"");
    expect("def l = [3, 1, 2]; Collections.sort(l); l", "[1,2,3]");
    expect("[1, 2, 3, 4].subList(1, 3)", "[2,3]");
    expect("[1][1]", "runtime error: Index 1 out of bounds for length 1: "
                     "index_out_of_bounds_exception");
    expect("def m = ['a': 1, 'b': 2]; m.c = 3; m['d'] = 4; m.remove('a'); m",
           "{\"b\":2,\"c\":3,\"d\":4}");
    expect("def m = new HashMap(); m.put('x', 1); m.x += 5; m.x++; m.x", "7");
    expect("def m = ['n': 1]; m.n++ + ++m.n", "4");
    expect("def l = [1]; l[0]++ + ++l[0]", "4");
    expect("def m = [:]; m.a = m.b = 2; m", "{\"b\":2,\"a\":2}");
    expect("def m = [:]; def x = m['k'] = 3; x + m.k", "6");
    expect("def m = ['a': 1]; def s = ''; for (e in m.entrySet()) s += e.getKey() + e.value; s",
           "\"a1\"");
    expect("['a': 1].keySet().contains('a') && ['a': 1].values().contains(1)", "true");
    expect("['a': 1].getOrDefault('b', 5)", "5");
    expect("def m = ['a': ['b': [1, 2]]]; m.a.b[1]", "2");
    expect("'' + [1, 'a', [2.5]] + ['k': null]", "\"[1, a, [2.5]]{k=null}\"");
    expect("new ArrayList([1, 2])", "[1,2]");
    expect("def l = [1]; l.add(l); l", "runtime error: Iterable object is self-referencing itself "
                                       "or too large: illegal_argument_exception");
    expect("def l = [1]; l.add(l); l == [2]",
           "runtime error: Iterable object is self-referencing itself or too large: "
           "illegal_argument_exception");
    expect("def l = [1L]; l[0] * 3000000000L", "3000000000");
    expect("def l = [1000000L]; l[0] * 1000000", "1000000000000");
}

static void test_strings(void **state)
{
    expect("'Hello'.length() + 'h\xc3\xa9\xf0\x9f\x90\x95'.length()", "9");
    expect("'h\xc3\xa9llo'.substring(1, 3)", "\"\xc3\xa9l\"");
    expect("'hello'.substring(3)", "\"lo\"");
    expect("'hello'.substring(4, 2)", "runtime error: begin 4, end 2, length 5: "
                                      "string_index_out_of_bounds_exception");
    expect("'hello'.indexOf('l') * 10 + 'hello'.lastIndexOf('l')", "23");
    expect("'\xc3\xa9\xc3\xa9x'.indexOf('x')", "2");
    expect("'hello'.contains('ell') && 'hello'.startsWith('he') && 'hello'.endsWith('lo')", "true");
    expect("'Stra\xc3\x9f\x65'.toUpperCase() + '\xc3\x89'.toLowerCase()", "\"STRASSE\xc3\xa9\"");
    expect("' a '.trim()", "\"a\"");
    expect("'a,b,,c'.splitOnToken(',')", "[\"a\",\"b\",\"\",\"c\"]");
    expect("'aXbX'.replace('X', '--')", "\"a--b--\"");
    expect("'ab'.repeat(3)", "\"ababab\"");
    expect("'a'.compareTo('c')", "-2");
    expect("'abc'.compareTo('ab')", "1");
    expect("'A'.equalsIgnoreCase('a')", "true");
    expect("'b'.equals('b')", "true");
    expect("'hello'.hashCode()", "99162322");
    expect("'abc'.charAt(1)", "\"b\"");
    expect("'abc'.charAt(1) == (char) 98", "true");
    expect("'abc'.isEmpty()", "false");
    expect("'YQ=='.decodeBase64() + 'a'.encodeBase64()", "\"aYQ==\"");
    expect("String.valueOf(1.0)", "\"1.0\"");
    expect("(5).toString() + 1.50", "\"51.5\"");
}

static void test_dates(void **state)
{
    expect("doc['day'].value", "\"2024-05-06T12:53:20.123Z\"");
    expect("doc['day'].value.toInstant().toEpochMilli()", "1715000000123");
    expect("doc['day'].value.millis", "1715000000123");
    expect("def d = doc['day'].value; d.year * 10000 + d.monthValue * 100 + d.dayOfMonth",
           "20240506");
    expect("doc['day'].value.getHour() + doc['day'].value.minute", "65");
    expect("doc['day'].value.dayOfWeekEnum.value", "1");
    expect("'' + doc['day'].value.getDayOfWeek() + doc['day'].value.month", "\"MONDAYMAY\"");
    expect("doc['day'].value.isBefore(ZonedDateTime.parse('2024-05-06T12:53:21Z'))", "true");
    expect("ZonedDateTime.parse('2024-01-31T00:00:00+01:00').plusMonths(1)",
           "\"2024-02-29T23:00:00.000Z\"");
    expect("ChronoUnit.DAYS.between(Instant.ofEpochMilli(0L), doc['day'].value)", "19849");
    expect("ChronoUnit.MONTHS.between(ZonedDateTime.parse('2024-01-31T00:00:00Z'), "
           "ZonedDateTime.parse('2024-03-30T00:00:00Z'))",
           "1");
}

static void test_ctx(void **state)
{
    expect_ctx("ctx._source.n += params.by", "{\"by\":2}", "{\"_source\":{\"n\":5}}",
               "7 {\"_source\":{\"n\":7}}");
    expect_ctx("if (ctx._source.tags.contains(params.t)) { ctx.op = 'delete' } else { "
               "ctx._source.tags.add(params.t) }",
               "{\"t\":\"new\"}", "{\"_source\":{\"tags\":[\"old\"]}}",
               "null {\"_source\":{\"tags\":[\"old\",\"new\"]}}");
    expect_ctx("ctx.l = params.l; ctx.l.add(4); ctx.l.size() + params.l.size()", "{\"l\":[1]}",
               "{}", "3 {\"l\":[1,4]}");
    expect_ctx("ctx.remove('a')", NULL, "{\"a\":1,\"b\":2}", "1 {\"b\":2}");
    expect_ctx("ctx.a?.b?.c == null", NULL, "{\"a\":{}}", "true {\"a\":{}}");
    expect_ctx("ctx.self = ctx", NULL, "{}",
               "runtime error: Iterable object is self-referencing itself or too large: "
               "illegal_argument_exception");
}

static void test_refusals(void **state)
{
    expect("1 +", "compile error: unexpected end of script.");
    expect("1 2", "compile error: unexpected token ['2'] was expecting one of [';'].");
    expect("(1", "compile error: unexpected end of script, was expecting one of [')'].");
    expect("}", "compile error: unexpected token ['}'].");
    expect("foo", "compile error: cannot resolve symbol [foo]");
    expect("'abc", "compile error: unexpected character ['].");
    expect("1 @ 2", "compile error: unexpected character [@].");
    expect("2147483648", "compile error: Invalid int constant [2147483648].");
    expect("99999999999", "compile error: Invalid int constant [99999999999].");
    expect("5x", "compile error: Invalid int constant [5].");
    expect("[1].stream()", "compile error: the method [stream] is not supported by vizsla "
                           "(unsupported)");
    expect("'a'.foo()", "compile error: member method [def, foo/0] not found");
    expect("'a'.length(1)", "compile error: member method [def, length/1] not found");
    expect("5.length()", "runtime error: dynamic method [java.lang.Integer, length/0] not found: "
                         "illegal_argument_exception");
    expect("'a' =~ /b/", "compile error: regular expressions in scripts are not supported by "
                         "vizsla (unsupported)");
    expect("[1].forEach(x -> x)", "compile error: lambda expressions in scripts are not supported "
                                  "by vizsla (unsupported)");
    expect("int f(int x) { return x } f(1)",
           "compile error: functions in scripts are not supported by vizsla (unsupported)");
    expect("try { return 1 } catch (Exception e) {}",
           "compile error: [try] in scripts is not supported by vizsla (unsupported)");
    expect("new HashSet()", "compile error: [new HashSet] is not supported by vizsla, only lists "
                            "and maps are (unsupported)");
    expect("int[] x = new int[3]", "compile error: arrays in scripts are not supported by vizsla, "
                                   "use a list (unsupported)");
    expect("1 = 2", "compile error: invalid assignment: cannot assign a value to a non-reference "
                    "expression");
    expect("doc['x'] = 2", "compile error: invalid assignment: cannot assign a value to a "
                           "non-reference expression");
    expect("'a'.x", "runtime error: dynamic getter [java.lang.String, x] not found: "
                    "illegal_argument_exception");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_text_and_equality),
        cmocka_unit_test(test_params_doc_score),
        cmocka_unit_test(test_math),
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_ctx),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
