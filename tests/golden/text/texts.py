#!/usr/bin/env python3
"""Writes texts.txt: the texts that analyzers.txt is run over, a JSON string a line."""
import json
import random

texts = [
    "The 2 QUICK Brown-Foxes jumped over the lazy dog's bone.",
    "", " ", "_", "___ __a a__b _1_", "a",
    "email me at john.smith@global-international.com or visit http://www.example.com/a?b=c#d, ok?",
    "3.14 1,000,000 1;2 1:2 a:b a.b a.1 1.a x'y 'quoted' o'neill's 5'6 can't. can't",
    "super-duper O'Neil's XL500 PowerShot Wi-Fi wi-fi-4000 SD500 500-42 neil's 's foo-",
    "https://vizsla.example/path/(x) ftp://host/file e-mail: a.b+c@d-e.co.uk 192.168.0.1 example.com:8080/x",
    "<p>I&apos;m so <b>happy</b>!</p> <br/>A &lt;tag&gt; &amp; &eacute;t&eacute; &#233; &#xE9; <!-- gone --> x<i>y</i>z",
    "<script>var a = '<b>';</script>after<style>p {}</style> <a href=\"x>y\">link</a> 1 < 2 & 3 > 2",
    "/one/two/three", "one/two/", "/", "//", "2023-11-20-x", "www.site.co.uk", "a", "/a//b/",
    "Os cães dormem nas camas e as mulheres portuguesas são felizes; ações e corações, rapidamente!",
    "Les élèves de l'école aiment l'été et les journaux qu'ils n'achètent jamais.",
    "Die Häuser und Bäume stehen schön in größeren Städten; Fuesse quellen, neue Aepfel.",
    "Los niños españoles corrían por las calles luces ingleses.",
    "L'amico dell'uomo è arrivato dalle città italiane, all'opera.",
    "De kinderen fietsen naar huis met eieren en bromfietsen.",
    "Flickorna springer i skogarna. Børnene løber i skovene. Guttene løper i skogene.",
    "Koirat juoksevat metsissä. A kutyák az erdőkben futnak. Собаки бегут в лесах и городах.",
    "Ünïcödé Ångström ﬁne ß Æther œuvre ¿qué? ½ ² Ⅷ ｆｕｌｌ １２３ ñandú Straße",
    "我购买了道具和服装。 私はガラスを食べられます。カタカナ テスト 한국어 단어 สวัสดีครับ ภาษาไทย",
    "👩‍👩‍👧‍👦 👍🏽 🇵🇹🇪🇸 ☕️ 1️⃣ #️⃣ ❤️‍🔥 a👍b © ™ 😀😀",
    "עברית צה\"ל ג'ירף العربية مرحبا हिन्दी नमस्ते ελληνικά Ωμέγα ١٢٣ ४५६",
    "İstanbul'da Ali’nin O’Neill türkçe",
    "a\u00adb c\u200dd e\u0301f x\u0308 \u0301alone",
    "supercalifragilisticexpialidocious 1234567890 abc_def_ghi",
    "dns is a domain name system in new york, or NY tv wi fi here",
    "domain name", "wi fi", "tv", "new york tv dog", "the quick fox and the dog", "a dog",
    "quick quick fast the ph :) graph å dns",
    "  leading,  and trailing , commas,,  ",
    "aabbcc mississippi aa", "abc1 def2ghi 34", "1-2-3 10-20 a-1",
    "caresses ponies ties cats feed agreed plastered motoring sing conflated troubling sized hopping "
    "tanned falling hissing fizzed failing filing happy sky relational conditional rational valenci "
    "hesitanci digitizer conformabli radicalli differentli vileli analogousli vietnamization "
    "predication operator feudalism decisiveness hopefulness callousness formaliti sensitiviti "
    "sensibiliti triplicate formative formalize electriciti electrical hopeful goodness revival "
    "allowance inference airliner gyroscopic adjustable defensible irritant replacement adjustment "
    "dependent adoption homologou communism activate angulariti homologous effective bowdlerize "
    "probate rate cease controll roll generously analogies analogy",
    "buses heroes aliases studies ties gas this bus kiss potatoes",
]
random.seed(20261120)


def words(stems, suffixes, count):
    """Made-up words that end in what a stemmer looks for."""
    out = []
    for _ in range(count):
        stem = "".join(random.choice(stems) for _ in range(random.randint(0, 4)))
        out.append(stem + random.choice(suffixes))
    return " ".join(out)


texts.append(words(["ca", "ro", "lin", "ma", "çã", "pé", "tu"], """es ns eis éis ais óis is ões ães
    mente s inha iaca eira osa ica ida ada iva ama ona ora esa na res ses les zes a o e ão ã""".split(), 400))
texts.append(words(["ca", "ro", "lin", "mu", "ñá", "pé", "tu"], "eses ces es os as o a e s ción".split(), 200))
texts.append(words(["ca", "ro", "lin", "mu", "pé", "tu"], "ie he e ii hi i ia a io o à".split(), 200))
texts.append(words(["ca", "ro", "lin", "mü", "pä", "tu", "sch"],
                   "ern em en er es e bs ds st est er en bst nst s".split(), 250))
texts.append(words(["ca", "ro", "lin", "mu", "pé", "tu", "vé", "nn"], """issement issant ement ivement
    ficatrice ficateur catrice cateur atrice ateur trice ième teuse teur euse ère ive folle molle nnelle
    nnel ète ique esse inage isation ualisation isateur ation ition aux eaux x s ie er ée ll""".split(), 500))
texts.append(words(["hap", "re", "lat", "con", "yes", "qu", "boy"], """s es ies sses ss ed eed ing ated bled
    ized y ly ational tional enci anci izer bli alli entli eli ousli ization ation ator alism iveness fulness
    ousness aliti iviti biliti logi icate ative alize iciti ical ful ness al ance ence er ic able ible ant
    ement ment ent ion sion tion ou ism ate iti ous ive ize e ll""".split(), 500))
alphabet = "aB1 ._-'’,:;&<>/@#é ßЖ中あア한ก👍\u0301\u200d\ufe0f\"_2"
for _ in range(150):
    texts.append("".join(random.choice(alphabet) for _ in range(random.randint(1, 30))))
with open("texts.txt", "w") as out:
    for text in texts:
        out.write(json.dumps(text, ensure_ascii=False) + "\n")
