/* Writes languages.txt: what Lucene's analyzers of single languages make of words and of a few
 * sentences. Words are stop words, names of countries and languages from the JDK's locale data (CLDR),
 * and made-up stems with the endings that the stemmers know. Run by ./generate; an argument is how
 * many made-up words there shall be of each language, a second one where to write. */
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import org.apache.lucene.analysis.*;
import org.apache.lucene.analysis.tokenattributes.*;

public class Languages {
  record Language(String name, String settings, String lucene, String code, String endings) {}

  static String stopFile(String code) {
    return switch (code) { case "pt" -> "br"; case "cs" -> "cz"; case "ko" -> "cjk"; default -> code; };
  }

  static Set<String> words(Language l, int made, Random random) throws Exception {
    Set<String> real = new LinkedHashSet<>();
    Locale locale = Locale.forLanguageTag(l.code);
    for (String country : Locale.getISOCountries())
      Collections.addAll(real, new Locale("", country).getDisplayCountry(locale).split("[\\s\\p{Punct}’‘–]+"));
    for (String language : Locale.getISOLanguages())
      Collections.addAll(real, new Locale(language).getDisplayLanguage(locale).split("[\\s\\p{Punct}’‘–]+"));
    List<String> list = new ArrayList<>(real);
    Collections.shuffle(list, random);
    Set<String> words = new LinkedHashSet<>(list.subList(0, Math.min(list.size(), Math.max(60, made / 4))));
    InputStream in = Languages.class.getResourceAsStream("/org/apache/lucene/analysis/" + stopFile(l.code) + "/stopwords.txt");
    if (in != null)
      for (String line : new String(in.readAllBytes(), StandardCharsets.UTF_8).split("\n"))
        if (!line.startsWith("#") && !line.isBlank() && (made > 1000 || random.nextInt(5) == 0)) words.add(line.trim());
    StringBuilder letters = new StringBuilder();
    for (String word : list) letters.append(word.toLowerCase(locale));
    letters.append(l.endings.replace(" ", ""));
    String[] endings = l.endings.split(" +");
    int most = words.size() + made;
    for (int tries = 0; words.size() < most && tries < most * 4 && !letters.isEmpty(); tries++) {
      StringBuilder word = new StringBuilder();
      if (random.nextInt(3) == 0) word.append(endings[random.nextInt(endings.length)]);
      if (random.nextInt(3) == 0 && !list.isEmpty()) word.append(list.get(random.nextInt(list.size())));
      else for (int i = random.nextInt(6); i >= 0; i--) word.append(letters.charAt(random.nextInt(letters.length())));
      for (int i = random.nextInt(3); i > 0; i--) word.append(endings[random.nextInt(endings.length)]);
      words.add(word.toString());
    }
    words.removeIf(w -> w.isEmpty() || w.contains("\"") || w.contains("@"));
    return words;
  }

  static void analyze(Analyzer analyzer, String text, boolean whole, PrintStream out) throws Exception {
    StringBuilder row = new StringBuilder();
    try (TokenStream s = analyzer.tokenStream("f", text)) {
      CharTermAttribute term = s.addAttribute(CharTermAttribute.class);
      OffsetAttribute offset = s.addAttribute(OffsetAttribute.class);
      PositionIncrementAttribute inc = s.addAttribute(PositionIncrementAttribute.class);
      PositionLengthAttribute len = s.addAttribute(PositionLengthAttribute.class);
      TypeAttribute type = s.addAttribute(TypeAttribute.class);
      s.reset();
      for (int position = -1; s.incrementToken(); ) {
        position += inc.getPositionIncrement();
        if (row.length() > 0) row.append(whole ? "," : " ");
        if (!whole) row.append(term);
        else
          row.append('[').append(Golden.quote(term.toString())).append(',').append(offset.startOffset()).append(',')
              .append(offset.endOffset()).append(',').append(position).append(',').append(len.getPositionLength())
              .append(",\"").append(type.type()).append("\"]");
      }
      s.end();
    }
    if (whole) out.println(Golden.quote(text) + "\t[" + row + "]");
    else out.println(row.toString().equals(text) ? text : text + "\t" + row);
  }

  public static void main(String[] args) throws Exception {
    int made = args.length > 0 ? Integer.parseInt(args[0]) : 90;
    PrintStream out = new PrintStream(new FileOutputStream(args.length > 1 ? args[1] : "languages.txt"), false, "UTF-8");
    Map<String, List<String>> sentences = new HashMap<>();
    for (String line : Files.readAllLines(Path.of("sentences.txt"), StandardCharsets.UTF_8)) {
      String[] columns = line.split("\t");
      if (!line.startsWith("#")) sentences.computeIfAbsent(columns[0], k -> new ArrayList<>()).add(columns[1]);
    }
    for (String line : Files.readAllLines(Path.of("languages_of.txt"), StandardCharsets.UTF_8)) {
      if (line.startsWith("#")) continue;
      String[] c = line.split("\t");
      Language l = new Language(c[0], c[2], c[1], c[3], c.length > 4 ? c[4] : "");
      Analyzer analyzer = Golden.make(l.lucene);
      out.println("@" + l.name + "\t" + l.settings);
      for (String text : sentences.getOrDefault(l.name, List.of())) analyze(analyzer, text, true, out);
      if (!l.code.equals("-")) for (String word : words(l, made, new Random(5))) analyze(analyzer, word, false, out);
    }
    out.close();
  }
}
