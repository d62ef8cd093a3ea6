#!/usr/bin/env python3
"""Makes tests/golden/tokenizers: texts in many languages and what Hugging Face `tokenizers` makes
of them.

    pip install tokenizers sentencepiece
    tools/make_golden_tokens.py [--data ../shared/data]          the committed files; --keep leaves
                                          the trained tokenizers as they are
    tools/make_golden_tokens.py --random SEED COUNT --out FOLDER  many more, for one comparison:
                                          VIZSLA_GOLDEN_TOKENS=FOLDER test_embed_tokenizer

CLIP's and MiniLM's tokenizers are read from the shared data; the others are trained here on the
texts, small, so that every part of a pipeline is there in some file.

    texts.json        base64 of each text's bytes (some are no UTF-8)
    NAME/tokenizer.json (trained ones)
    NAME.json         {"ids": [[..] a text], "cut": [[text, max, ids]], "pairs": [[a, b, max, ids,
                      types]], "vocab_count": n}
The fast tokenizer is the reference for CLIP: OpenAI's own code also repairs text with ftfy and
undoes HTML entities twice before it, which neither transformers nor we do.
"""
import argparse
import base64
import io
import json
import pathlib
import random
import tempfile

import sentencepiece
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers as N,
    pre_tokenizers as P,
    processors,
    trainers,
)

HERE = pathlib.Path(__file__).resolve().parent.parent

LANGUAGES = """
A small black and white terrier was lost near the old harbour on Sunday evening.
Um pequeno terrier preto e branco perdeu-se perto do porto velho no domingo à noite; não está sozinho.
Un petit terrier noir et blanc s'est égaré près du vieux port dimanche soir : où est-il passé ?
Ein kleiner schwarz-weißer Terrier ist am Sonntagabend in der Nähe des alten Hafens entlaufen. Größe: 35 cm.
Un pequeño terrier blanco y negro se perdió cerca del puerto viejo el domingo; ¿lo ha visto? ¡Llámenos!
Un piccolo terrier bianco e nero si è smarrito vicino al porto vecchio; perché no?
Маленький чёрно-белый терьер потерялся у старого порта в воскресенье вечером. Ёжик съел йогурт.
Маленький чорно-білий тер'єр загубився біля старого порту в неділю ввечері, їжак є.
Маленькі чорна-белы тэр'ер згубіўся каля старога порта ў нядзелю.
Мали црно-бели теријер изгубио се код старе луке у недељу увече.
Mały czarno-biały terier zgubił się w pobliżu starego portu; zażółć gęślą jaźń.
Malý černobílý teriér se ztratil poblíž starého přístavu; příliš žluťoučký kůň úpěl ďábelské ódy.
Malý čiernobiely teriér sa stratil v nedeľu večer; kŕdeľ šťastných ďatľov.
Egy kis fekete-fehér terrier elveszett a régi kikötőnél; árvíztűrő tükörfúrógép.
Un terrier mic, alb-negru, s-a pierdut lângă portul vechi; țărănește și știință.
Küçük siyah beyaz bir teriyer pazar akşamı eski limanın yakınında kayboldu; İstanbul'da ılık ırmak.
Kiçik ağ-qara terrier bazar günü axşam köhnə limanın yanında itdi; gözəl.
Кішкентай ақ-қара терьер жексенбі күні кешке ескі порттың жанында жоғалып кетті.
Ένα μικρό ασπρόμαυρο τεριέ χάθηκε κοντά στο παλιό λιμάνι την Κυριακή. ΟΔΥΣΣΕΥΣ, Ὀδυσσεύς, ᾳ ῳ ΐ.
טרייר קטן שחור-לבן אבד ליד הנמל הישן ביום ראשון בערב. שָׁלוֹם עֲלֵיכֶם
فُقد كلب صغير أبيض وأسود قرب الميناء القديم مساء الأحد؛ هل رأيته؟ السَّلَامُ عَلَيْكُمْ ٣٥ ﷺ لا
یک سگ کوچک سیاه و سفید نزدیک بندر قدیمی گم شد؛ می‌خواهم ۱۲۳ گچ پژ
ایک چھوٹا سیاہ اور سفید کتا پرانی بندرگاہ کے قریب گم ہو گیا۔
एक छोटा काला और सफ़ेद टेरियर रविवार शाम पुराने बंदरगाह के पास खो गया। क्षत्रिय ज्ञान १२३
एउटा सानो कालो र सेतो कुकुर आइतबार साँझ हरायो।
রবিবার সন্ধ্যায় পুরনো বন্দরের কাছে একটি ছোট কালো-সাদা কুকুর হারিয়ে গেছে। ৪৫৬
ஞாயிற்றுக்கிழமை மாலை பழைய துறைமுகத்தின் அருகே ஒரு சிறிய நாய் தொலைந்தது.
ఆదివారం సాయంత్రం పాత ఓడరేవు దగ్గర ఒక చిన్న నలుపు తెలుపు కుక్క తప్పిపోయింది.
ಭಾನುವಾರ ಸಂಜೆ ಹಳೆಯ ಬಂದರಿನ ಬಳಿ ಒಂದು ಸಣ್ಣ ನಾಯಿ ಕಳೆದುಹೋಯಿತು.
ഞായറാഴ്ച വൈകുന്നേരം പഴയ തുറമുഖത്തിന് സമീപം ഒരു ചെറിയ നായയെ കാണാതായി.
રવિવારે સાંજે જૂના બંદર પાસે એક નાનો કાળો અને સફેદ કૂતરો ખોવાઈ ગયો.
ਐਤਵਾਰ ਸ਼ਾਮ ਨੂੰ ਪੁਰਾਣੀ ਬੰਦਰਗਾਹ ਨੇੜੇ ਇੱਕ ਛੋਟਾ ਕੁੱਤਾ ਗੁਆਚ ਗਿਆ।
ඉරිදා සවස පරණ වරාය අසල කුඩා කළු සුදු බල්ලෙක් නැති විය.
หมาเทอร์เรียร์ตัวเล็กสีขาวดำหายไปใกล้ท่าเรือเก่าเมื่อเย็นวันอาทิตย์ น้ำใจ ๑๒๓
ໝານ້ອຍສີຂາວດຳເສຍຢູ່ໃກ້ທ່າເຮືອເກົ່າໃນຕອນແລງວັນອາທິດ.
ခွေးအဖြူအမည်းလေးတစ်ကောင် တနင်္ဂနွေနေ့ညနေက ပျောက်သွားသည်။
ឆ្កែតូចពណ៌ខ្មៅសមួយក្បាលបានបាត់នៅជិតកំពង់ផែចាស់។
པའི་ཁྱི་ཆུང་ཞིག་བོར་སོང་། བོད་སྐད་
一只黑白相间的小梗犬周日晚上在旧港口附近走失了。請幫忙尋找，電話：０１２３－４５６７。
日曜日の夜、古い港の近くで白黒の小さなテリアが迷子になりました。ｶﾞｷﾞグゲ ヴァイオリン 東京都㍿㌔
일요일 저녁 오래된 항구 근처에서 작은 흑백 테리어를 잃어버렸습니다. 한글
Một chú chó sục nhỏ đen trắng bị lạc gần cảng cũ vào tối Chủ nhật; Nguyễn Thị Hường ở đường Trần Phú.
Seekor anjing terrier kecil hitam putih hilang di dekat pelabuhan lama pada Minggu malam.
Isang maliit na itim at puting asong terrier ang nawala malapit sa lumang daungan.
Mbwa mdogo mweusi na mweupe alipotea karibu na bandari ya zamani Jumapili jioni.
Ajá kékeré dúdú àti funfun kan sọnù nítòsí èbúté àtijọ́ ní ìrọ̀lẹ́ ọjọ́ Àìkú.
Inja encane emnyama namhlophe ilahlekile eduze kwetheku elidala; iqhude, ixoxo.
'n Klein swart-en-wit terriër het Sondagaand naby die ou hawe weggeraak; hê môre.
Een kleine zwart-witte terriër is zondagavond bij de oude haven zoekgeraakt; coördinatie, ĳsje.
En liten svartvit terrier försvann nära den gamla hamnen på söndagskvällen; räksmörgås.
En lille sorthvid terrier forsvandt nær den gamle havn; rødgrød med fløde på Ærø.
Pieni mustavalkoinen terrieri katosi vanhan sataman lähellä; hääyöaie.
Väike must-valge terjer kadus pühapäeva õhtul vana sadama lähedal; jäääär.
Mazs melnbalts terjers pazuda netālu no vecās ostas svētdienas vakarā; ķiļķēns.
Mažas juodai baltas terjeras dingo prie senojo uosto sekmadienio vakarą; įžūlūs ąsočiai.
Lítill svarthvítur terríer týndist nálægt gömlu höfninni; Þór, ðáð, ævi.
Cailleadh brocaire beag dubh agus bán in aice leis an seanchalafort; ḃean ċéad.
Collwyd daeargi bach du a gwyn ger yr hen harbwr nos Sul; tŷ, llŵyr.
Txakur txiki zuri-beltz bat galdu zen portu zaharretik gertu igande arratsean.
Un petit terrier blanc i negre es va perdre prop del port vell; col·lecció, l'òliba.
Një terrier i vogël bardhë e zi humbi pranë portit të vjetër; çështje ëndërr.
Малко черно-бяло териерче се изгуби край старото пристанище в неделя вечерта.
პატარა შავ-თეთრი ტერიერი დაიკარგა ძველ ნავსადგურთან. ᲗᲑᲘᲚᲘᲡᲘ
Փոքրիկ սև-սպիտակ տերիերը կորել է հին նավահանգստի մոտ և այլն։
ትንሽ ጥቁርና ነጭ ውሻ በእሁድ ምሽት በአሮጌው ወደብ አቅራቢያ ጠፋ።
Жижиг хар цагаан терьер ням гарагийн орой хуучин боомтын ойролцоо төөрчээ. ᠮᠣᠩᠭᠣᠯ
Malgranda nigrablanka hundo perdiĝis apud la malnova haveno; eĥoŝanĝo ĉiuĵaŭde.
""".strip().split("\n")

ODD = [
    "", " ", "   ", "\t\r\n", "a", " a", "a ", "  two  spaces   three    four ", "\u00a0\u2003\u3000x\u200b\u2028y\u0085z",
    "I'm you're he'll they've she'd it's don't 'tis 'S 'RE ''s '' '", "can't've y'all'd've rock'n'roll o'clock",
    "I’m “quoted” ‘single’ — em–dash… ellipsis", "HELLO World CamelCase snake_case kebab-case x86_64 C++ C# .NET",
    "0 1 12 123 1234 3.14159 1,000,000 1e-9 0xFF 50% $9.99 €5 £3 ¥100 №7 ½ ⅓ ² ³ x² Ⅷ ⅷ ① ⑳ ㊿ ٣ ३ ๓ 〇 一 十",
    "https://example.org/a/b?c=d&e=%20f#g www.example.com user@example.com ftp://[::1]:8080/",
    "/usr/bin/env python3 -c 'print(\"hi\\n\")' && rm -rf ./x | grep -v ^#",
    "&amp; &lt;b&gt; &#39; &quot; &amp;lt; &nbsp; &eacute; <p class=\"x\">text</p> <!-- c -->",
    "supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis Donaudampfschifffahrtsgesellschaftskapitän",
    "a" * 99, "b" * 100, "c" * 101, "é" * 100, "é" * 101, "漢" * 30, "ab" * 300, "-" * 200, "!?" * 40, "1" * 70, "^" * 33 + "x",
    "🐶 🐕‍🦺 👩‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🇵🇹🇧🇷 🇺 ☺️ ☺ ❤️‍🔥 1️⃣ #️⃣ 🫠 🫨 🪿 🧑🏿‍❤️‍💋‍🧑🏻", "dog🐶cat🐱", "ok👌🏿!", "😀😀😀",
    "e\u0301 é n\u0303 ñ A\u030a Å \u212b a\u0323\u0302 ậ a\u0302\u0323 q\u0307\u0323 q\u0323\u0307 \u1e9b\u0323 ﬁ ﬂ ﬀ ſ Ω Ω",
    "Z\u0351\u036b\u0343\u036a\u0302a\u0348\u0319\u030e\u0300\u0348l\u0348\u034e\u0301g\u0324\u034a\u0305\u0300o\u0349\u0321\u0333",
    "\u0301 \u0301a \u200d x\u200dy \u200c\ufeffBOM \u00adsoft\u00adhyphen \u202eRTL\u202c \u2066iso\u2069 \ufffc \ufffd",
    "\x00 \x01\x02\x7f\x80\x9f \x1b[31mred\x1b[0m \x08 \x0b\x0c bell\x07", "tab\tsep\tvalues\r\nnext line\n\n\npara",
    "İstanbul ISPARTA ıspanak Iğdır ŞİŞLİ ß ẞ ŉ ǰ ΐ և ẖ ᾳ ῼ Ǆ ǅ ǆ Σ σ ς ΑΣ Α.Σ", "ＦＵＬＬ ｗｉｄｔｈ １２３ ﾊﾝｶｸ ｶﾞ ㈱ ㍻ ㎏ ㋿ ™ ℡ ﷼ ﷺ",
    "한글 각각 \u1112\u1161\u11ab\u1100\u1173\u11af ᄒᆞᆫ", "กำ ก\u0e33 น้ำ เก่ง ແ ຳ", "क्षि ज्ञ श्री क़ \u0915\u093c \u0958 ড় \u09a1\u09bc",
    "𝓗𝓮𝓵𝓵𝓸 𝟘𝟙 𝔸 𝕏 🄰 🅰 Ⓐ ⓐ ᴬ ₐ", "𠀀𠮷 𪜀 𫝀 𫠠 𬺰 𰀀 㐀 豈 丽 𐍈 𒀀 𓀀 𐐀𐐨 𞤀𞤢", "\u0378\u0380 \ue000 \U000f0000 \U0010ffff \ufdd0 \uffff",
    "\u1c89 \ua7cb \U00010d50 \U000105c0 \U0001ccf0 \u0897 \U0001fadf \U0001c000", "¿Qué? «guillemets» „tief“ 「括弧」 【】 〜 ・ ー ￥ ‰ ‱ † ‡ • ‣ ∑ ∞ ≠ √ ⇒ ♥ ★",
    "<s> </s> <unk> <pad> <mask> [CLS] [SEP] [MASK] [UNK] [PAD] <|startoftext|> <|endoftext|>", "<|endoftext|>", "x<|startoftext|>y", "<|STARTOFTEXT|>", "a<|endoftext|>b<|endoftext|>",
    "a [MASK] b", "a[MASK]b", "The <mask> ran.", "The<mask>  ran", " <mask>", "[mask] [CLS][SEP]", "<s>a</s>", "</s ><s", "<0x41> <0x0A> \u2581 \u2581\u2581a \u2581b c\u2581 Ġ Ġa Ċ ##a ## a## </w> a</w>",
    "word solo wordy sword word. WORD  word\tword", "tok  tok\ttok tokx  x tok ", "a photo of a cat", "A photo of a CAT.", "a black-and-white terrier on a beach at sunset, 35mm",
    "“He said: \u201cnaïve café\u201d”, résumé; coöperate", "Ａ\u030a ｶ\uff9e \u3099が か\u3099", "x" * 2000, "word " * 400, "été " * 100, "\u0300" * 40, "a" + "\u0300" * 40, "a\u0323" * 50,
    "\u0f71\u0f72\u0f74 \u0fb2\u0f80 \u0344 \u0340\u0341 \u2126 \u2adc \u0958\u0959", "\ufb1d \ufb2a \ufb2c \ufb4f שׁ", "…‥․ ⁈ ‼ ⁇ ︵ ﹏ ＿", "ﾞ ﾟ ゛ ゜", "½¼¾ 1⁄2 ℃ ℉ Å K",
    "\x01abc", "\u200b\x02 word one", "\u00adx \u0301y", "\x7f\x7f", "\u0301a word",
]

MALFORMED = [
    b"\xff", b"abc\xffdef", b"\xc3", b"caf\xc3", b"\xe2\x82", b"\xe2\x82x", b"\xf0\x9f\x90", b"\xf0\x9f", b"\xf0\x9f\x90\xb6\xf0",
    b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xed\xb0\x80x", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\x80\xbf", b"a\x80b\x80\x80c",
    b"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", b"Caf\xe9 au lait na\xefve", b"\xef\xbf", b"\xef\xbb\xbfBOM", b"\xfe\xff\x00a\x00b", bytes(range(256)),
]


def texts():
    all_texts = [t.encode() for t in LANGUAGES + ODD] + MALFORMED
    everything = " ".join(LANGUAGES).encode()
    return all_texts + [everything, " ".join(LANGUAGES).upper().encode()]


def random_texts(seed, count):
    rng = random.Random(seed)
    words = " ".join(LANGUAGES + ODD).split(" ")
    plane = [(0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x600), (0x600, 0x1100), (0x1100, 0x2000),
             (0x2000, 0x2C00), (0x3000, 0x3400), (0x4E00, 0x5000), (0xA000, 0xAC00), (0xAC00, 0xAD00), (0xF900, 0x10000),
             (0x10000, 0x12000), (0x16000, 0x17000), (0x1D000, 0x1F000), (0x1F000, 0x20000), (0, 0x110000)]
    out = []
    for _ in range(count):
        kind = rng.randrange(4)
        if kind == 0:
            t = "".join(chr(rng.randrange(*rng.choice(plane))) for _ in range(rng.randrange(1, 30)))
        elif kind == 1:
            t = rng.choice(["", " ", "  "]).join(rng.choice(words) for _ in range(rng.randrange(1, 12)))
        elif kind == 2:
            t = "".join(rng.choice(rng.choice(words) or " ") for _ in range(rng.randrange(1, 60)))
        else:
            t = "".join(rng.choice(" \t'’-.,a1é漢🐶\u0301<>|[]s") for _ in range(rng.randrange(1, 40)))
        b = t.encode("utf-8", "surrogatepass")
        if rng.randrange(8) == 0:
            b = bytearray(b)
            for _ in range(rng.randrange(1, 4)):
                b[rng.randrange(len(b))] = rng.randrange(256)
            b = bytes(b)
        out.append(b)
    return out


def every_character():
    step = 48
    out = []
    for first in range(0, 0x110000, step):
        if 0x30000 <= first < 0xE0000 or first >= 0xE0200 and first < 0x10FF00:
            continue
        chars = [chr(c) for c in range(first, first + step) if not 0xD800 <= c < 0xE000 and c < 0x110000]
        out.append("".join(chars).encode())
        out.append(" x".join(chars).encode())
        out.append("".join("a" + c + "\u0301" for c in chars).encode())
    return out


def corpus():
    lines = LANGUAGES * 3 + [t for t in ODD if 3 < len(t) < 200]
    return lines + ["the quick brown fox jumps over the lazy dog 0123456789"] * 5


# ---- small tokenizers of our own ------------------------------------------------------------------


def roberta():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = P.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=2500, special_tokens=specials, initial_alphabet=P.ByteLevel.alphabet(), show_progress=False)
    t.train_from_iterator(corpus(), trainer)
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, rstrip=False, normalized=False)])
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return t


def gpt2():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = P.ByteLevel(add_prefix_space=True)
    t.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=1500, special_tokens=["<|endoftext|>"], initial_alphabet=P.ByteLevel.alphabet(), show_progress=False))
    t.add_tokens([AddedToken("word", single_word=True), AddedToken("tok", lstrip=True, rstrip=True), AddedToken("É", normalized=True)])
    t.normalizer = N.NFC()
    return t


def charsmap(rules):
    """A compiled map of our own rules, out of a SentencePiece model trained with them."""
    tsv = "".join("%s\t%s\n" % (" ".join("%X" % ord(c) for c in a), " ".join("%X" % ord(c) for c in b)) for a, b in rules)
    path = pathlib.Path(tempfile.mkstemp(suffix=".tsv")[1])
    path.write_text(tsv)
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(corpus()), model_writer=out, vocab_size=2000, hard_vocab_limit=False, model_type="char",
                                             normalization_rule_tsv=str(path), character_coverage=0.98, minloglevel=2)
    return map_of(out.getvalue())


def map_of(model):
    """normalizer_spec (field 3), precompiled_charsmap (field 2) of a ModelProto."""

    def fields(data):
        at = 0
        while at < len(data):
            key, at = varint(data, at)
            if key & 7 == 2:
                size, at = varint(data, at)
                yield key >> 3, data[at : at + size]
                at += size
            elif key & 7 == 0:
                _, at = varint(data, at)
            else:
                at += 4 if key & 7 == 5 else 8

    def varint(data, at):
        value = shift = 0
        while True:
            value |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if not data[at - 1] & 128:
                return value, at

    spec = dict(fields(model))[3]
    return dict(fields(spec))[2]


def rules():
    import unicodedata

    chars = [c for r in ((0xA0, 0x250), (0x300, 0x345), (0x1E00, 0x1F00), (0x2000, 0x2100), (0x2460, 0x2500), (0x3000, 0x3100), (0x3300, 0x3400), (0xFB00, 0xFB10), (0xFF00, 0xFFA0)) for c in map(chr, range(*r))]
    found = [(c, unicodedata.normalize("NFKC", c)) for c in chars]
    found = [(a, b) for a, b in found if a != b]
    for base in "aeiounAEIOUN":
        for mark in "\u0300\u0301\u0302\u0303\u0308":
            both = unicodedata.normalize("NFKC", base + mark)
            if len(both) == 1:
                found.append((base + mark, both))
    found += [("\t", " "), ("\n", " "), ("\r", " "), ("\u200b", " "), ("\ufeff", " "), ("\u2028", " "), ("\x01", ""), ("\x7f", ""), ("\u00ad", "")]
    found += [("か\u3099", "が"), ("ｶ\uff9e", "ガ"), ("1️", "1"), ("☺️", ":)")]
    return list(dict(found).items())


def xlmr(blob):
    t = Tokenizer(models.Unigram())
    t.normalizer = N.Sequence([N.Precompiled(blob), N.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = P.Sequence([P.WhitespaceSplit(), P.Metaspace()])
    t.train_from_iterator(corpus(), trainers.UnigramTrainer(vocab_size=2500, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return t


def t5():
    t = Tokenizer(models.Unigram())
    t.normalizer = N.Sequence([N.Nmt(), N.NFKC(), N.Strip(left=False, right=True), N.Replace(Regex("\\s+"), " ")])
    t.pre_tokenizer = P.Metaspace(prepend_scheme="first")
    t.train_from_iterator(corpus(), trainers.UnigramTrainer(vocab_size=1200, special_tokens=["<pad>", "</s>", "<unk>"] + ["<0x%02X>" % i for i in range(256)], unk_token="<unk>", show_progress=False))
    spec = json.loads(t.to_str())
    spec["model"]["byte_fallback"] = True
    t = Tokenizer.from_str(json.dumps(spec))
    t.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A:0 </s>:0 $B:1 </s>:1", special_tokens=[("</s>", 1)])
    return t


def llama():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(vocab_size=1500, special_tokens=["<unk>", "<s>", "</s>"] + ["<0x%02X>" % i for i in range(256)], limit_alphabet=180, show_progress=False)
    pre = Tokenizer(models.BPE(unk_token="<unk>"))
    pre.normalizer = t.normalizer
    pre.pre_tokenizer = P.Split("▁", "merged_with_next")
    pre.train_from_iterator(corpus(), trainer)
    spec = json.loads(t.to_str())
    spec["model"].update({k: json.loads(pre.to_str())["model"][k] for k in ("vocab", "merges")})
    spec["added_tokens"] = json.loads(pre.to_str())["added_tokens"][:3]
    t = Tokenizer.from_str(json.dumps(spec))
    t.post_processor = processors.Sequence([processors.ByteLevel(), processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B:1", special_tokens=[("<s>", 1)])])
    return t


def bpe_marks():
    """Unknown characters, kept apart; a prefix for characters inside words and a suffix at the end."""
    t = Tokenizer(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##", end_of_word_suffix="</w>"))
    t.normalizer = N.Sequence([N.NFD(), N.StripAccents(), N.Lowercase()])
    t.pre_tokenizer = P.Sequence([P.Whitespace(), P.Digits(individual_digits=False), P.Split("-", "merged_with_previous")])
    t.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=900, special_tokens=["[UNK]"], limit_alphabet=60, continuing_subword_prefix="##", end_of_word_suffix="</w>", show_progress=False))
    return t


def bert_cased():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=40))
    t.normalizer = N.BertNormalizer(lowercase=False)
    t.pre_tokenizer = P.BertPreTokenizer()
    t.train_from_iterator(corpus(), trainers.WordPieceTrainer(vocab_size=2500, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return t


def words():
    t = Tokenizer(models.WordLevel(unk_token="<unk>"))
    t.normalizer = N.Sequence([N.NFKD(), N.StripAccents(), N.Lowercase(), N.Strip()])
    t.pre_tokenizer = P.Sequence([P.WhitespaceSplit(), P.Punctuation("contiguous"), P.Digits(individual_digits=True)])
    t.train_from_iterator(corpus(), trainers.WordLevelTrainer(vocab_size=1500, special_tokens=["<unk>"], show_progress=False))
    return t


# ---- expectations ---------------------------------------------------------------------------------


def expect(t, raw):
    t.no_truncation()
    t.no_padding()
    decoded = [b.decode("utf-8", "replace") for b in raw]
    ids = [e.ids for e in t.encode_batch(decoded)]
    cut, pairs = [], []
    for i in (0, 3, 20, 40, len(LANGUAGES) + 3, len(raw) - 1):
        for most in (8, 77):
            t.enable_truncation(most)
            cut.append([i, most, t.encode(decoded[i]).ids])
    for a, b in ((0, 1), (2, len(LANGUAGES)), (len(LANGUAGES), 5), (len(raw) - 1, 7), (8, len(raw) - 2), (len(raw) - 1, len(raw) - 2)):
        for most in (9, 16, 64, 100000):
            t.enable_truncation(most)
            e = t.encode(decoded[a], decoded[b])
            pairs.append([a, b, most, e.ids, e.type_ids])
    t.no_truncation()
    count = 1 + max(max(t.get_vocab(True).values()), 0)
    return {"vocab_count": count, "ids": ids, "cut": cut, "pairs": pairs}


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--data", default=str(HERE / ".." / "shared" / "data"))
    args.add_argument("--keep", action="store_true")
    args.add_argument("--random", nargs=2, type=int)
    args.add_argument("--out", default=str(HERE / "tests" / "golden" / "tokenizers"))
    args = args.parse_args()
    out = pathlib.Path(args.out)
    golden = HERE / "tests" / "golden" / "tokenizers"
    out.mkdir(parents=True, exist_ok=True)
    trained = {"roberta": roberta, "gpt2": gpt2, "xlmr": lambda: xlmr(charsmap(rules())), "t5": t5, "llama": llama, "bpe_marks": bpe_marks, "bert_cased": bert_cased, "words": words}
    if args.random:
        raw = texts() + random_texts(*args.random) + every_character()
    else:
        raw = texts()
        for name, make in () if args.keep else trained.items():
            (golden / name).mkdir(exist_ok=True)
            # As published files are: no white space, which halves them.
            spec = json.loads(make().to_str())
            (golden / name / "tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False, separators=(",", ":")))
    (out / "texts.json").write_text(json.dumps([base64.b64encode(b).decode() for b in raw], indent=0))
    files = {name: golden / name / "tokenizer.json" for name in trained}
    files["clip"] = pathlib.Path(args.data) / "clip-tokenizer" / "hf" / "tokenizer.json"
    files["minilm"] = pathlib.Path(args.data) / "minilm-tokenizer" / "tokenizer.json"
    for name, path in files.items():
        result = expect(Tokenizer.from_file(str(path)), raw)
        lines = ",\n".join('"%s":%s' % (k, "[\n" + ",\n".join(json.dumps(x, separators=(",", ":")) for x in v) + "]" if isinstance(v, list) else v) for k, v in result.items())
        (out / (name + ".json")).write_text("{" + lines + "}\n")
        print(name, sum(map(len, result["ids"])), "tokens")


main()
