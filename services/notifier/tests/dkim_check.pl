# A signed mail on standard input, a file of "name TXT value" lines as the DNS; one line "selector: verdict" per signature out.
use strict;
use warnings;
use Mail::DKIM::Verifier;
use Mail::DKIM::DNS;
use Net::DNS::RR;

my %records;
open my $zone, '<', $ARGV[0] or die "no zone: $!";
while (<$zone>) { chomp; my ($name, $text) = split / /, $_, 2; $records{$name} = $text; }
no warnings 'redefine';
*Mail::DKIM::DNS::query = sub {
    my ($name, $type) = @_;
    return unless exists $records{$name};
    return Net::DNS::RR->new(name => $name, type => 'TXT', txtdata => [ unpack '(a200)*', $records{$name} ]);
};
my $dkim = Mail::DKIM::Verifier->new;
binmode STDIN;
while (<STDIN>) { s/\r?\n$//; $dkim->PRINT("$_\r\n"); }
$dkim->CLOSE;
printf "%s: %s\n", $_->selector, $_->result for $dkim->signatures;
