# The tutorial's calls with Debian's Search::Elasticsearch.
use strict;
use warnings;
use Search::Elasticsearch;

my $index    = 'dog-image-index-perl';
my @names    = qw(Luigi Buddy Bella Charlie);
my $failures = 0;

sub vector {
    my ($i, $shift) = @_;
    return [map { sin($i * 37.7 + $_ * (0.1 + 0.01 * $i)) + $shift * cos($_) } 0 .. 511];
}

sub check {
    my ($name, $passed) = @_;
    $failures++ unless $passed;
    print $passed ? "ok $name\n" : "not ok $name\n";
}

my $es = Search::Elasticsearch->new(nodes => [$ENV{VIZSLA_URL}], client => '8_0::Direct');
check('info', $es->info->{tagline} eq 'You Know, for Search');
$es->indices->delete(index => $index, ignore => [404]);
my %body = (
    index => $index,
    body  => {
        mappings => {
            properties => {
                dog_id          => { type => 'keyword' },
                image_embedding =>
                    { type => 'dense_vector', dims => 512, index => \1, similarity => 'cosine' },
            }
        }
    }
);
$es->indices->create(%body, ignore => [400]);
eval { $es->indices->create(%body) };
check('create again is refused', $@ && $@->is('Request'));
check('exists', $es->indices->exists(index => $index));
my $made = $es->index(
    index   => $index,
    id      => 0,
    refresh => 'true',
    body    => { dog_id => 'Luigi', image_embedding => vector(0, 0) }
);
check('index', $made->{result} eq 'created');
my $bulk = $es->bulk_helper(index => $index);
$bulk->add_action(index => { id => $_, source => { dog_id => $names[$_], image_embedding => vector($_, 0) } })
    for 1 .. 3;
my $flushed = $bulk->flush;
check('bulk helper', !$flushed->{errors} && @{ $flushed->{items} } == 3);
$es->indices->refresh(index => $index);
my $found = $es->search(
    index => $index,
    body  => {
        knn => {
            field          => 'image_embedding',
            query_vector   => vector(0, 0.1),
            k              => 3,
            num_candidates => 10,
            boost          => 1
        },
        _source => ['dog_id'],
        size    => 1
    }
);
check('knn', $found->{hits}{hits}[0]{_source}{dog_id} eq 'Luigi');
check('count', $es->count(index => $index)->{count} == 4);
check('delete', $es->delete(index => $index, id => 3)->{result} eq 'deleted');
eval { $es->get(index => $index, id => 3) };
check('get of a deleted one', $@ && $@->is('Missing'));
check('delete index', $es->indices->delete(index => $index)->{acknowledged});
exit($failures ? 1 : 0);
