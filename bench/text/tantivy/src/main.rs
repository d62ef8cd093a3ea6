// The same corpus and queries as bench/text/driver.c, over Tantivy: one thread, one segment.
use std::io::{BufRead, BufReader};
use tantivy::collector::{Count, TopDocs};
use tantivy::query::{BooleanQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::{IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{doc, Index, IndexWriter, Term};

// Processor time of this process in seconds, of threads that ended, too: the machine may be busy with
// others.
extern "C" {
    fn clock_gettime(clock: i32, at: *mut [i64; 2]) -> i32;
}
const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;
struct Instant(f64);
fn cpu() -> f64 {
    let mut at = [0i64; 2];
    unsafe { clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mut at) };
    at[0] as f64 + at[1] as f64 * 1e-9
}
impl Instant {
    fn now() -> Instant {
        Instant(cpu())
    }
    fn seconds(&self) -> f64 {
        cpu() - self.0
    }
}

fn main() -> tantivy::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let mut schema = Schema::builder();
    let options = TextOptions::default().set_indexing_options(
        TextFieldIndexing::default().set_tokenizer("default").set_index_option(IndexRecordOption::WithFreqsAndPositions));
    let field = schema.add_text_field("f", options);
    let dir = std::path::Path::new(&args[3]);
    std::fs::create_dir_all(dir)?;
    let index = Index::create_in_dir(dir, schema.build())?;
    let start = Instant::now();
    let mut writer: IndexWriter = index.writer_with_num_threads(1, 200_000_000)?;
    let mut count = 0u64;
    for line in BufReader::new(std::fs::File::open(&args[1])?).lines() {
        writer.add_document(doc!(field => line?))?;
        count += 1;
    }
    writer.commit()?;
    let indexed = start.seconds();
    let ids = index.searchable_segment_ids()?;
    if ids.len() > 1 {
        writer.merge(&ids).wait()?;
    }
    writer.wait_merging_threads()?;
    eprintln!("tantivy: {} documents in {:.2} s, with the merge {:.2} s", count, indexed, start.seconds());
    println!("index\t{:.3}", indexed);
    let reader = index.reader()?;
    let searcher = reader.searcher();
    let mut kinds: Vec<(String, Vec<Box<dyn Query>>)> = vec![];
    for line in BufReader::new(std::fs::File::open(&args[2])?).lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let terms: Vec<Term> = words[1..].iter().map(|w| Term::from_field_text(field, w)).collect();
        let one = |t: &Term| Box::new(TermQuery::new(t.clone(), IndexRecordOption::WithFreqs)) as Box<dyn Query>;
        let query: Box<dyn Query> = match words[0] {
            "or" => Box::new(BooleanQuery::new(terms.iter().map(|t| (Occur::Should, one(t))).collect())),
            "and" => Box::new(BooleanQuery::new(terms.iter().map(|t| (Occur::Must, one(t))).collect())),
            "phrase" => Box::new(PhraseQuery::new(terms)),
            _ => one(&terms[0]),
        };
        match kinds.iter_mut().find(|k| k.0 == words[0]) {
            Some(k) => k.1.push(query),
            None => kinds.push((words[0].to_string(), vec![query])),
        }
    }
    for (name, queries) in &kinds {
        let mut best = f64::MAX;
        let mut best_count = f64::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            for query in queries {
                searcher.search(query.as_ref(), &TopDocs::with_limit(10))?;
            }
            best = best.min(start.seconds());
            let start = Instant::now();
            for query in queries {
                searcher.search(query.as_ref(), &(TopDocs::with_limit(10), Count))?;
            }
            best_count = best_count.min(start.seconds());
        }
        println!("{}\t{:.1}\t{:.1}", name, best * 1e6 / queries.len() as f64, best_count * 1e6 / queries.len() as f64);
    }
    Ok(())
}
