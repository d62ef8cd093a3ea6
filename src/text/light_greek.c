/* A stemmer for Greek: G. Ntais, "Development of a Stemmer for the Greek Language" (2006), with the
 * changes that Lucene made to it; tests/golden/text/languages.txt holds it against that. Words are
 * in lower case, without accents, every sigma the same (the filter lowercase of language greek).
 *
 * A step takes an ending off and puts part of it back where the stem that is left is an exception.
 * A word that no step changes is shortened by its longest inflection; the degrees of adjectives go
 * last. */
#include "text/light_parts.h"

struct greek {
    UChar32 *s;
    size_t len;
};

static bool vowel(const struct greek *w)
{
    return vz_word_ends(w->s, w->len, "α ε η ι ο υ ω") > 0;
}
static bool vowel_not_y(const struct greek *w)
{
    return vz_word_ends(w->s, w->len, "α ε η ι ο ω") > 0;
}
static bool is(const struct greek *w, const char *words)
{
    return vz_word_is(w->s, w->len, words);
}
static bool ends(const struct greek *w, const char *suffixes)
{
    return vz_word_ends(w->s, w->len, suffixes) > 0;
}
/* Takes the first suffix of a list that fits off a word that is longer than it. */
static bool cut(struct greek *w, const char *suffixes)
{
    size_t count = vz_word_ends(w->s, w->len, suffixes);
    if (!count || w->len <= count)
        return false;
    w->len -= count;
    return true;
}
static void put(struct greek *w, const char *text)
{
    w->len += vz_word_put(w->s, w->len, text);
}

/* Irregular nouns, each of which keeps its stem. */
static void irregular(struct greek *w)
{
    static const struct vz_rung rungs[] = {
        {9, 4, "καθεστωτοσ καθεστωτων"},
        {8, 4, "γεγονοτοσ γεγονοτων"},
        {8, 3, "καθεστωτα"},
        {7, 4, "τατογιου τατογιων"},
        {7, 3, "γεγονοτα"},
        {7, 2, "καθεστωσ"},
        {6, 4, "σκαγιου σκαγιων ολογιου ολογιων κρεατοσ κρεατων περατοσ περατων τερατοσ τερατων"},
        {6, 3, "τατογια"},
        {6, 2, "γεγονοσ"},
        {5, 4, "φαγιου φαγιων σογιου σογιων"},
        {5, 3, "σκαγια ολογια κρεατα περατα τερατα"},
        {4, 3, "φαγια σογια φωτοσ φωτων"},
        {4, 2, "κρεασ περασ τερασ"},
        {3, 2, "φωτα"},
        {2, 1, "φωσ"},
    };
    w->len = vz_ladder(w->s, w->len, rungs, VZ_COUNT_OF(rungs));
}

static void nouns(struct greek *w)
{
    if (cut(w, "αδεσ αδων") && !ends(w, "οκ μαμ μαν μπαμπ πατερ γιαγι νταντ κυρ θει πεθερ"))
        put(w, "αδ");
    if (cut(w, "εδεσ εδων") && ends(w, "οπ ιπ εμπ υπ γηπ δαπ κρασπ μιλ"))
        put(w, "εδ");
    if (cut(w, "ουδεσ ουδων") &&
        ends(w, "αρκ καλιακ πεταλ λιχ πλεξ σκ σ φλ φρ βελ λουλ χν σπ τραγ φε"))
        put(w, "ουδ");
    if (cut(w, "εωσ εων") && is(w, "θ δ ελ γαλ ν π ιδ παρ"))
        put(w, "ε");
    if ((cut(w, "ια") || cut(w, "ιου ιων")) && vowel(w))
        put(w, "ι");
    if ((cut(w, "ικα ικο") || cut(w, "ικου ικων")) &&
        (vowel(w) ||
         is(w,
            "αλ αδ ενδ αμαν αμμοχαλ ηθ ανηθ αντιδ φυσ βρωμ γερ εξωδ καλπ καλλιν καταδ μουλ μπαν "
            "μπαγιατ μπολ μποσ νιτ ξικ συνομηλ πετσ πιτσ πικαντ πλιατσ ποστελν πρωτοδ σερτ συναδ "
            "τσαμ υποδ φιλον φυλοδ χασ")))
        put(w, "ικ");
}

static void we(struct greek *w)
{
    if (w->len == 5 && ends(w, "αγαμε")) {
        w->len--;
        return;
    }
    if (!cut(w, "ηθηκαμε") && !cut(w, "ουσαμε"))
        cut(w, "αγαμε ησαμε ηκαμε");
    if (cut(w, "αμε") && is(w, "αναπ αποθ αποκ αποστ βουβ ξεθ ουλ πεθ πικρ ποτ σιχ χ"))
        put(w, "αμ");
}

static void they(struct greek *w)
{
    /* The first of each of Lucene's lists only behind another letter, the others even alone. */
    static const struct {
        uint8_t cut;
        const char *behind, *alone;
    } endings[] = {{8, "ιουντανε", ""},
                   {7, "ιοντανε", "ουντανε ηθηκανε"},
                   {6, "ιοτανε", "οντανε ουσανε"},
                   {5, "αγανε", "ησανε οτανε ηκανε"}};
    for (size_t i = 0; i < VZ_COUNT_OF(endings); i++) {
        if (!(w->len > endings[i].cut && ends(w, endings[i].behind)) && !ends(w, endings[i].alone))
            continue;
        w->len -= endings[i].cut;
        if (is(w, "τρ τσ"))
            put(w, "αγαν");
        break;
    }
    if (cut(w, "ανε") &&
        (vowel_not_y(w) ||
         is(w,
            "βετερ βουλκ βραχμ γ δραδουμ θ καλπουζ καστελ κορμορ λαοπλ μωαμεθ μ μουσουλμ ν ουλ π "
            "πελεκ πλ πολισ πορτολ σαρακατσ σουλτ τσαρλατ ορφ τσιγγ τσοπ φωτοστεφ χ ψυχοπλ αγ "
            "γαλ γερ δεκ διπλ αμερικαν ουρ πιθ πουριτ σ ζωντ ικ καστ κοπ λιχ λουθηρ μαιντ μελ "
            "σιγ σπ στεγ τραγ τσαγ φ ερ αδαπ αθιγγ αμηχ ανικ ανοργ απηγ απιθ ατσιγγ βασ βασκ "
            "βαθυγαλ βιομηχ βραχυκ διατ διαφ ενοργ θυσ καπνοβιομηχ καταγαλ κλιβ κοιλαρφ λιβ "
            "μεγλοβιομηχ μικροβιομηχ νταβ ξηροκλιβ ολιγοδαμ ολογαλ πενταρφ περηφ περιτρ πλατ "
            "πολυδαπ πολυμηχ στεφ ταβ τετ υπερηφ υποκοπ χαμηλοδαπ ψηλοταβ")))
        put(w, "αν");
}

static void you(struct greek *w)
{
    cut(w, "ησετε");
    if (cut(w, "ετε") &&
        (vowel_not_y(w) ||
         is(w,
            "αβαρ βεν εναρ αβρ αδ αθ αν απλ βαρον ντρ σκ κοπ μπορ νιφ παγ παρακαλ σερπ σκελ συρφ "
            "τοκ υ δ εμ θαρρ θ") ||
         ends(w,
              "οδ αιρ φορ ταθ διαθ σχ ενδ ευρ τιθ υπερθ ραθ ενθ ροθ σθ πυρ αιν συνδ συν συνθ χωρ "
              "πον βρ καθ ευθ εκθ νετ ρον αρκ βαρ βολ ωφελ")))
        put(w, "ετ");
}

static void participles(struct greek *w)
{
    if (cut(w, "οντασ ωντασ")) {
        if (is(w, "αρχ"))
            put(w, "οντ");
        if (ends(w, "κρε"))
            put(w, "ωντ");
    }
    if ((cut(w, "ομαστε") || cut(w, "ιομαστε")) && is(w, "ον"))
        put(w, "ομαστ");
    if (cut(w, "ιεστε") && is(w, "π απ συμπ ασυμπ ακαταπ αμεταμφ"))
        put(w, "ιεστ");
    if (cut(w, "εστε") && is(w, "αλ αρ εκτελ ζ μ ξ παρακαλ προ νισ"))
        put(w, "εστ");
}

static void past(struct greek *w)
{
    if (!cut(w, "ηθηκεσ"))
        cut(w, "ηθηκα ηθηκε");
    if ((cut(w, "ηκεσ") || cut(w, "ηκα ηκε")) &&
        (is(w, "διαθ θ παρακαταθ προσθ συνθ") || ends(w, "σκωλ σκουλ ναρθ σφ οθ πιθ")))
        put(w, "ηκ");
    if ((cut(w, "ουσεσ") || cut(w, "ουσα ουσε")) &&
        (vowel(w) ||
         is(w, "φαρμακ χαδ αγκ αναρρ βρομ εκλιπ λαμπιδ λεχ μ πατ ρ λ μεδ μεσαζ υποτειν αμ αιθ ανηκ "
               "δεσποζ ενδιαφερ δε δευτερευ καθαρευ πλε τσα") ||
         ends(w, "ποδαρ βλεπ πανταχ φρυδ μαντιλ μαλλ κυματ λαχ ληγ φαγ ομ πρωτ")))
        put(w, "ουσ");
    if ((cut(w, "αγεσ") || cut(w, "αγα αγε")) && !is(w, "ψοφ ναυλοχ") && !ends(w, "κολλ") &&
        (is(w, "αβαστ πολυφ αδηφ παμφ ρ ασπ αφ αμαλ αμαλλι ανυστ απερ ασπαρ αχαρ δερβεν δροσοπ ξεφ "
               "νεοπ νομοτ ολοπ ομοτ προστ προσωποπ συμπ συντ τ υποτ χαρ αειπ αιμοστ ανυπ αποτ "
               "αρτιπ διατ εν επιτ κροκαλοπ σιδηροπ λ ναυ ουλαμ ουρ π τρ μ") ||
         ends(w, "οφ πελ χορτ λλ σφ ρπ φρ πρ λοχ σμην")))
        put(w, "αγ");
    if ((cut(w, "ησου") || cut(w, "ησε ησα")) && is(w, "ν χερσον δωδεκαν ερημον μεγαλον επταν"))
        put(w, "ησ");
    if (cut(w, "ηστε") && is(w, "ασβ σβ αχρ χρ απλ αειμν δυσχρ ευχρ κοινοχρ παλιμψ"))
        put(w, "ηστ");
    if ((cut(w, "ησουνε ηθουνε") || cut(w, "ουνε")) && is(w, "ν ρ σπι στραβομουτσ κακομουτσ εξων"))
        put(w, "ουν");
    if ((cut(w, "ησουμε ηθουμε") || cut(w, "ουμε")) &&
        is(w, "παρασουσ φ χ ωριοπλ αζ αλλοσουσ ασουσ"))
        put(w, "ουμ");
    if (cut(w, "ματων ματοσ") || cut(w, "ματα"))
        put(w, "μα");
}

static void inflection(struct greek *w)
{
    static const char *const endings[] = {
        "ιοντουσαν",
        "ιομασταν ιοσασταν ιουμαστε οντουσαν",
        "ιεμαστε ιεσαστε ιομουνα ιοσαστε ιοσουνα ιουνται ιουνταν ηθηκατε ομασταν οσασταν ουμαστε",
        "ιομουν ιονταν ιοσουν ηθειτε ηθηκαν ομουνα οσαστε οσουνα ουνται ουνταν ουσατε",
        "αγατε ιεμαι ιεται ιεσαι ιοταν ιουμα ηθεισ ηθουν ηκατε ησατε ησουν ομουν ονται ονταν οσουν "
        "ουμαι ουσαν",
        "αγαν αμαι ασαι αται ειτε εσαι εται ηδεσ ηδων ηθει ηκαν ησαν ησει ησεσ ομαι οταν",
        "αει εισ ηθω ησω ουν ουσ",
        "αν ασ αω ει εσ ησ οι οσ ου υσ ων",
        "α ε η ι ο υ ω"};
    for (size_t i = 0; i < VZ_COUNT_OF(endings); i++)
        if (cut(w, endings[i]))
            return;
}

size_t vz_stem_greek(UChar32 *s, size_t len)
{
    struct greek w = {s, len};
    if (len < 4)
        return len;
    irregular(&w);
    nouns(&w);
    we(&w);
    they(&w);
    you(&w);
    participles(&w);
    past(&w);
    if (w.len == len)
        inflection(&w);
    w.len -= vz_word_ends(s, w.len, "εστερ εστατ οτερ οτατ υτερ υτατ ωτερ ωτατ");
    return w.len;
}
